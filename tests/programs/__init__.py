"""The real programs: `twistd` processes on loopback, and clients that are nothing but sockets."""
