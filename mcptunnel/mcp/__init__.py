"""What MCP messages mean, in both eras, without I/O and without a clock."""
