"""Tests of the relay's HTTP side, byte by byte, without a socket."""
