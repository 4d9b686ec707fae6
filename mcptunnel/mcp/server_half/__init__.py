"""The half-bridge next to a local server: modern requests in, the server's own era out."""
