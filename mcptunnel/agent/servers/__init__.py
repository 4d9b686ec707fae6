"""The local MCP servers, each kept running and answering calls, whatever it is."""
