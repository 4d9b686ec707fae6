"""Sockets, timers, child processes: everything that touches the reactor."""
