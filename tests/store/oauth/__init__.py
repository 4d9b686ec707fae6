"""Tests of the authorization server in the store."""
