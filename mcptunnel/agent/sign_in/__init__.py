"""An agent's sign-in at a relay: got in a browser or by a code, kept in a file, renewed for as long as it lives."""
