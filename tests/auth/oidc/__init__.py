"""Tests of signing in at an OpenID provider."""
