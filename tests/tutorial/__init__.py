"""The files of the tutorial "Public in ten minutes", as real programs behind Debian's Caddy: `make tutorial`."""
