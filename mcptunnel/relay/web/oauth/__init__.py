"""The authorization server's endpoints: for programs, and the pages on which people decide."""
