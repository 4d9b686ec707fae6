"""A real OpenID provider, and browsers that sign people in at it."""
