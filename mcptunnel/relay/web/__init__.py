"""The relay's HTTP side: one file per family of endpoints."""
