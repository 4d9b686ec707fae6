"""A self-hosted tunnel from remote AI applications to the MCP servers on your own machine."""

__version__ = "0.1.0.dev0"
