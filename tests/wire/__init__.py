"""Tests of the tunnel protocol; none of them needs a reactor."""
