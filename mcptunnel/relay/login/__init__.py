"""Ways for people to sign in to the relay."""
