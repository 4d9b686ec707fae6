"""The relay as authorization server: what is between the decisions of `auth` and the store."""
