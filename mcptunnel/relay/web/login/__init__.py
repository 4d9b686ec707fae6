"""Signing in and out, as people see it."""
