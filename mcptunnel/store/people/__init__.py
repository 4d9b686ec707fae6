"""People in the store: who they are, how they sign in, and where they are signed in."""
