"""What a call through relay and agent costs, against the same call made directly: `make bench`."""
