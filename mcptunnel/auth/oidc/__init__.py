"""People who sign in at an OpenID provider: what the relay asks it, and what it believes of the answers."""
