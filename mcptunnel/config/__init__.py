"""The files that people write, read strictly into frozen dataclasses."""
