# Five commands; a fresh clone needs make and Python 3.11 or newer, with venv:
#
#   make install   .venv with the pinned packages, and the edge in it, editable
#   make fix       format, and mend what can be mended
#   make check     formatting, lint, types: what needs no running
#   make test      every test, the official conformance suite among them
#   make serve     a whole service: an origin, streams in var/origin, and the edge
#
# Tests take Node from PATH (20.19 or newer, with npm), else from PyPI.

VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
PIP := $(PY) -m pip --disable-pip-version-check

# make install PYTHON=python3.12     make test ARGS=tests/streamlog
# make test ARGS="-n 0 -x -k cold"   in one process, as a debugger needs it
# make serve ARGS="--listen 127.0.0.1:9090"
PYTHON ?=
ARGS ?=

.PHONY: help install fix check test serve bench chaos ways lock clean

help:
	@sed -n 's/^#   \(make .*\)/\1/p' Makefile

install: $(INSTALLED)

$(INSTALLED): pyproject.toml requirements/dev.lock tools/venv.sh
	sh tools/venv.sh $(VENV) $(PYTHON)
	$(PIP) install --quiet --require-hashes --requirement requirements/dev.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	$(PIP) check
	@touch $@

fix: $(INSTALLED)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

check: $(INSTALLED)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

test: $(INSTALLED)
	$(PY) -m tests.support.node
	$(PY) -m pytest --numprocesses 2 --dist loadfile $(ARGS)

serve: $(INSTALLED)
	@exec $(VENV)/bin/ds-edge serve --config config/edge.yaml $(ARGS)

# For who wants figures: the edge beside nginx, Varnish and the reference server, in one
# run on this machine; a quarter of an hour.   make bench ARGS=--quick   takes two minutes.
bench: $(INSTALLED)
	@$(PY) -m tests.support.node
	@$(PY) -m tests.bench $(ARGS)

# For who changes what readers are told: writers, readers and faults, before the Node
# server or the embedded origin, and every answer judged. A minute, or as long as asked.
#   make chaos ARGS="--seed 7 --seconds 600 --origin node"
chaos: $(INSTALLED)
	@$(PY) -m tests.support.node
	@$(PY) -m tests.chaos $(ARGS)

# For who changes the code: how many calls and files each way of a request takes.
#   make ways ARGS="--list cold"   names the files of one way, in order.
ways: $(INSTALLED)
	@$(PY) -m tests.ways $(ARGS)

# For who changes dependencies: pins them anew, within pyproject.toml and package.json.
lock: $(INSTALLED)
	$(PY) -m tools.lock

clean:
	rm -rf $(VENV) tests/node/node_modules build dist *.egg-info
