"""One module per step; each is frozen once released."""
