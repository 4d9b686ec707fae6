"""The hub: one MCP endpoint for all servers of all devices of a user."""
