"""The authorization server over the real resource tree, in memory."""
