# Every target runs from .venv, which is made anew when the requirements change. `make` alone says what there is.
.DEFAULT_GOAL := help
.PHONY: demo test lint types bench check help
.DELETE_ON_ERROR:

# The first of these that is Python 3.11 or newer; `make PYTHON=/path/to/python3.11` takes another one.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
RUN := .venv/bin/python
DEV := .venv/.requirements-dev

demo: $(DEV) ## flights to shards and manifests on a local S3 server, and back
	@$(RUN) -m tools.demo

test: $(DEV) ## every test that this machine can run; ARGS="-k name" picks some
	$(RUN) -m pytest $(ARGS)

lint: $(DEV) ## ruff: rules and format
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(DEV) ## mypy --strict
	$(RUN) -m mypy

bench: $(DEV) ## how fast, and beside what; ARGS="--help" says more
	$(RUN) -m tools.bench $(ARGS)

check: lint types test ## what CI runs

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(DEV): requirements.txt requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found; try make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, not " + sys.version)'
	"$(PYTHON)" -m venv --clear .venv
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
