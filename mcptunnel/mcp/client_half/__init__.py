"""The half-bridge next to a legacy client: its requests in, modern requests out."""
