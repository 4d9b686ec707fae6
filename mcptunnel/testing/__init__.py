"""The public test kit: what a plugin author or a test of ours needs."""
