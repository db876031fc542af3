# imsuite: `make run` starts a server, `make test` runs the tests, `make help` shows the rest.
# Both work on a fresh machine with Python 3.11: they make .venv and fill it from PyPI. The files
# .venv/.run and .venv/.dev note that this was done, so that the next time is quick.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
VERSION = $(shell sed -n 's/^version = //p' setup.cfg)

# editable_mode=compat: a default editable install hides twisted/plugins from twistd
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--config-settings editable_mode=compat --editable

.DEFAULT_GOAL := help
.PHONY: help run test lint format types docs bench fuzz storm torture steps news changelog clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; \
		do printf '  make %-10s %s\n' "$$name" "$$text"; done

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "imsuite needs Python 3.11 or newer; none was found" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "imsuite needs Python 3.11 or newer; $(PYTHON) is $$("$(PYTHON)" -V)" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.run: setup.cfg pyproject.toml | $(BIN)/python
	$(INSTALL) .
	@touch $@

$(VENV)/.dev: setup.cfg pyproject.toml | $(BIN)/python
	$(INSTALL) '.[dev]'
	@touch $@ $(VENV)/.run

run: $(VENV)/.run ## start a server on this machine; Ctrl-C stops it
	exec $(BIN)/twistd --nodaemon --pidfile= imsuite

JOBS ?= auto# files of tests at the same time; 0: all of them in the process that shows the results
test: $(VENV)/.dev ## run all tests (one of them: make test ARGS=tests/rules JOBS=0)
	$(BIN)/python -m pytest --numprocesses=$(JOBS) --maxprocesses=4 --dist=loadfile \
		--no-loadscope-reorder $(ARGS)

lint: $(VENV)/.dev ## look for mistakes and untidy code
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(VENV)/.dev ## put the code into its usual form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(VENV)/.dev ## check the types
	$(BIN)/mypy --strict

docs: $(VENV)/.dev ## write what the code knows into docs/ and etc/imsuite.toml
	$(BIN)/python -m imsuite.app.reference
	$(BIN)/python -m tests.house_tree

bench: $(VENV)/.dev ## measure the hot path
	$(BIN)/python -m benchmarks $(ARGS)

fuzz: $(VENV)/.dev ## throw random bytes at the parser
	$(BIN)/python -m benchmarks.fuzz_parser --count 1000000

storm: $(VENV)/.dev ## let random clients do random things to a server (ARGS="--seconds 600")
	$(BIN)/python -m benchmarks.storm $(ARGS)

torture: $(VENV)/.dev ## kill a server under load again and again (ARGS="--seconds 600 --seed 1")
	$(BIN)/python -m benchmarks.torture $(ARGS)

steps: $(VENV)/.dev ## note the digests of new table steps before they ship
	$(BIN)/python -m tests.house_steps

news: $(VENV)/.dev ## show what the changelog would say of this version
	$(BIN)/towncrier build --version $(VERSION) --draft

changelog: $(VENV)/.dev ## move the fragments of news/ into CHANGELOG.md
	$(BIN)/towncrier build --version $(VERSION) --yes

clean: ## remove what was made, except the data of `make run`
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name dropin.cache -type f -delete
