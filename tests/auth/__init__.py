"""Tests of what is decided about keys, tokens, clients and people."""
