"""Other people's MCP clients and servers, through relay and agent, as real processes."""
