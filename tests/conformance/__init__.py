"""The official conformance suite, against servers behind the tunnel."""
