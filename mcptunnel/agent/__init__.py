"""The program beside the local MCP servers."""
