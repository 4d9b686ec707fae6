"""How the documentation is built: `make docs`."""

import mcptunnel

project = "mcptunnel"
author = "The mcptunnel authors"
release = mcptunnel.__version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = "mcptunnel"
html_static_path = ["_static"]
