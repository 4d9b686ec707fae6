"""What the relay remembers, in a database."""
