"""Tests that pages say what the code does."""
