"""The endpoints of single servers: bytes pass untouched, or the agent speaks for the server."""
