"""The front: an endpoint for clients of both eras; modern requests go out of it, to a service."""
