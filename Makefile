# Five commands; a fresh clone needs make and Python 3.11 or newer, with venv:
#
#   make install   .venv with what serving needs, pinned, and the edge in it, editable
#   make fix       format, and mend what can be mended
#   make check     formatting, lint, types: what needs no running
#   make test      every test, the official conformance suite among them
#   make serve     a whole service: an origin, streams in var/origin, and the edge, on
#                  all cores; ARGS="--workers 1" for one process
#
# And two now and then:
#
#   make dist      the wheel and the source archive, in dist, checked
#   make clean     remove all that these commands made; the streams in var, too
#
# Tests take Node from PATH (20.19 or newer, with npm), else from PyPI.

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check

# One environment, two stamps. The pins of dev.lock hold all those of run.lock, so the
# tools are added to what serves and change nothing of it.
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)/.tools

# make install PYTHON=python3.12     make test ARGS=tests/streamlog
# make test ARGS="-n 0 -x -k cold"   in one process, as a debugger needs it
# make serve ARGS="--listen 127.0.0.1:9090"
PYTHON ?=
ARGS ?=

.PHONY: help install fix check test serve bench chaos ways lock container dist clean

help:
	@sed -n 's/^#   \(make .*\)/\1/p' Makefile

install: $(INSTALLED)

# setuptools, alone in build.lock, puts the edge in.
$(INSTALLED): pyproject.toml requirements/build.lock requirements/run.lock tools/venv.sh
	@echo "Installing what serving needs into $(VENV): about 20 s."
	@sh tools/venv.sh $(VENV) $(PYTHON)
	@$(PIP) install --quiet --require-hashes \
	    --requirement requirements/build.lock --requirement requirements/run.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@$(PIP) check
	@touch $@

$(TOOLS): $(INSTALLED) requirements/dev.lock
	@echo "Adding the tools of development to $(VENV): about 20 s."
	@$(PIP) install --quiet --require-hashes --requirement requirements/dev.lock
	@$(PIP) check
	@touch $@

fix: $(TOOLS)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

check: $(TOOLS)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

define ABOUT_THE_TESTS
All tests: some fifteen minutes on two cores that are free. They run in three processes
and start, on free ports of 127.0.0.1 and in folders of their own: edges and embedded
origins; Node with the reference server, the official client and suite; nginx, HAProxy,
Caddy, Prometheus, docker-compose and Chromium, which are installed if they are missing
and this is root's Debian or Ubuntu. The wheel is built and installed elsewhere, which asks the package index.
The first run also installs the tools and Node's packages: a minute or two.
A part of them:  make test ARGS=tests/streamlog
endef
export ABOUT_THE_TESTS

# The tests start hundreds of processes, each of which would compile the whole product
# where Python was told to keep no bytecode, as images of containers like to.
test: export PYTHONDONTWRITEBYTECODE :=

# Said before anything is installed or started, hence the second make.
test:
	@echo "$$ABOUT_THE_TESTS"
	@$(MAKE) --silent --no-print-directory $(TOOLS)
	$(PY) -m tests.support.node
	$(PY) -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

serve: $(INSTALLED)
	@exec $(VENV)/bin/ds-edge serve --config config/edge.yaml --workers auto $(ARGS)

# For who wants figures: the edge beside nginx, Varnish and the reference server, in one
# run on this machine; half an hour.   make bench ARGS=--quick   takes four minutes.
bench: $(TOOLS)
	@$(PY) -m tests.support.node
	@$(PY) -m tests.bench $(ARGS)

# For who changes what readers are told: writers, readers and faults, before the Node
# server or the embedded origin, and every answer judged. A minute, or as long as asked.
#   make chaos ARGS="--seed 7 --seconds 600 --origin node"
chaos: $(TOOLS)
	@$(PY) -m tests.support.node
	@$(PY) -m tests.chaos $(ARGS)

# For who changes the code: how many calls and files each way of a request takes.
#   make ways ARGS="--list cold"   names the files of one way, in order.
ways: $(TOOLS)
	@$(PY) -m tests.ways $(ARGS)

# For who changes dependencies: pins them anew, within pyproject.toml and package.json.
lock: $(TOOLS)
	$(PY) -m tools.lock

# For who changes the Dockerfile: builds the image, runs every command of
# docs/containers.md, and looks into the container. As root; a few minutes.
container: $(TOOLS)
	@$(PY) -m tests.container

# For who releases: both archives, from the source archive on, and judged by the tools of
# the package index.
dist: $(TOOLS)
	@$(PY) -m tools.dist

clean:
	rm -rf $(VENV) build dist var tests/node/node_modules *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
