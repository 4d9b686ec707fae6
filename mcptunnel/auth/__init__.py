"""Decisions about keys, tokens and people, without I/O and without a clock."""
