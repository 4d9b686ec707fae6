"""The tunnel protocol: frames, windows, streams and sessions, without I/O and without a clock."""
