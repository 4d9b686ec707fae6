"""The `mcptunnel` command."""
