# Everything a person or a build machine runs. `make` alone says what there is.
#
# PYTHON=python3.13  another Python for the virtual environment     (make test PYTHON=python3.13)
# ARGS="-k codec"    more arguments for the tests or the benchmark  (make test ARGS="-k codec")
# PORT=9000 CHECK=1  for the demo: another port; make one call, and end

PYTHON ?= python3
ARGS ?=
PORT ?=
CHECK ?=

# Paths are relative on purpose: make cannot cope with a space in a target.
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check
METADATA := setup.cfg pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help demo test coverage fuzz big soak isolation pages tutorial interop conformance bench lint docs packaging clean FORCE
.DELETE_ON_ERROR:

help: ## Say what there is.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.has-run ## Start a relay and an agent, make a real call, say how to connect; Ctrl-C ends it.
	@$(VENV)/bin/mcptunnel demo $(if $(PORT),--port "$(PORT)") $(if $(CHECK),--check)

# Real programs mostly wait: three of their tests run at once. (Status 5: no test was asked for there.)
test: $(VENV)/.has-test ## Run the tests, without those that need other people's programs.
	@$(RUN) -m pytest -m "not slow" $(addprefix --ignore=tests/,programs interop conformance isolation pages tutorial) $(ARGS) || [ $$? -eq 5 ]
	@$(RUN) -m pytest -m "not slow" -n 3 --dist loadfile tests/programs $(ARGS) || [ $$? -eq 5 ]

coverage: $(VENV)/.has-test $(VENV)/.has-coverage ## Show that tests/wire takes every branch of the tunnel protocol.
	@$(RUN) -m coverage run --source=mcptunnel/wire -m pytest -q tests/wire $(ARGS)
	@$(RUN) -m coverage report --fail-under=100

fuzz: $(VENV)/.has-test $(VENV)/.has-fuzz ## Give any bytes to what reads them, 30 s each (ARGS="--seconds 600 session").
	@$(RUN) -m tests.fuzz $(ARGS)

big: $(VENV)/.has-test ## Run the tests that move much: bodies of a GiB each way.
	@$(RUN) -m pytest tests/programs -m slow $(ARGS)

soak: $(VENV)/.has-test ## Hold 2,000 streams of 200 devices over a bad network, 8 minutes (ARGS="--seconds 60").
	@$(RUN) -m tests.soak $(ARGS)

isolation: $(VENV)/.has-test ## Let two hundred clients of fifty users work at once; nothing may cross over.
	@$(RUN) -m pytest tests/isolation -o faulthandler_timeout=240 $(ARGS)

pages: $(VENV)/.has-test $(VENV)/.has-pages ## Look at every page in Chromium; pictures are in build/screenshots.
	@$(RUN) -m pytest tests/pages $(ARGS)

tutorial: $(VENV)/.has-test ## Run the files of the tutorial "Public in ten minutes" behind Caddy.
	@$(RUN) -m pytest tests/tutorial $(ARGS)

interop: $(VENV)/.has-test ## Run the tests with real clients and servers from PyPI and npm.
	@$(RUN) -m tests.interop.environments
	@$(RUN) -m pytest tests/interop $(ARGS)

conformance: $(VENV)/.has-test $(VENV)/.has-conformance ## Run the official conformance suite, and requests of all kinds; needs npm.
	@$(RUN) -m tests.interop.environments
	@$(RUN) -m pytest tests/conformance -o faulthandler_timeout=240 $(ARGS)

bench: $(VENV)/.has-test ## Measure relay and agent against a direct call.
	@$(RUN) -m tests.benchmarks $(ARGS)

lint: $(VENV)/.has-test $(VENV)/.has-lint $(VENV)/.has-pages ## Run ruff and mypy.
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

docs: $(VENV)/.has-docs ## Build the documentation into docs/_build/html.
	@$(RUN) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html is built."

packaging: $(VENV)/.has-packaging ## Build wheel and sdist, install them elsewhere, look whether all is there.
	@$(RUN) tests/packaging/check.py

clean: ## Remove the virtual environment and everything that was built.
	rm -rf $(VENV) .cache build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf *.egg-info twisted/plugins/dropin.cache mcptunnel/plugins/dropin.cache
	find mcptunnel twisted tests docs -type d -name __pycache__ -prune -exec rm -rf {} +

# The environment is made again if the checkout was moved, if its Python is gone, or if another
# PYTHON is asked for; its packages are installed again if the metadata changed.
MADE := $(shell $(RUN) -c "" 2>/dev/null && cat $(VENV)/.made 2>/dev/null)
WANTED := $(CURDIR) with $(if $(filter file,$(origin PYTHON)),,$(PYTHON))
ifeq ($(findstring $(WANTED),$(MADE)),)
$(VENV)/.made: FORCE
endif

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "mcptunnel needs Python 3.11 or newer; '$(PYTHON)' is" \
	        "$$($(PYTHON) --version 2>/dev/null || echo not there)." >&2; \
	    echo "Name another one: make PYTHON=python3.13 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "'$(PYTHON)' cannot make virtual environments: its modules venv and ensurepip are missing." >&2; \
	    echo "On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@echo "$(CURDIR) with $(PYTHON)" > $@

$(VENV)/.has-run: $(VENV)/.made $(METADATA)
	@echo "Installing mcptunnel into $(VENV) ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/.has-%: $(VENV)/.has-run
	@echo "Installing what '$*' needs into $(VENV) ..."
	@$(PIP) --editable ".[$*]"
	@touch $@
