"""The program with the public URL."""
