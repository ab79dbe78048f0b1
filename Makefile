# Two commands matter: `make demo` and `make test`. Each sets up what it needs, once.
# The first Python that runs and is new enough: a name on the path may be a shim that runs nothing.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS ?= .venv-extras
EXTRA_NAMES ?= spacy presidio haystack langchain llama-index pandas mcp export ray stanza
PIP_EXTRAS := $(EXTRAS)/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test test-extras lint docs wheel clean

demo: $(VENV)/installed
	@$(BIN)/glinermt demo

# A process for each core, with one thread each: many tests are too small for two.
test: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

# The server, its page in a browser, and the integrations; what is missing is skipped, with a reason.
test-extras: $(EXTRAS)/installed
	$(EXTRAS)/bin/python -m pytest -m extras tests/serve tests/integrations tests/annotate tests/glinermt/test_stanza.py

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed-dev
	$(PIP) --editable '.[docs]'
	$(BIN)/mkdocs build --quiet --site-dir site

wheel: $(VENV)/installed-dev
	$(BIN)/python tests/check_wheel.py

$(VENV)/bin/python:
	@test -n "$(PYTHON)" \
		|| { echo "glinermt needs Python 3.11 or newer; call: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing what glinermt needs into $(VENV) (once; a minute or two) ..."
	$(PIP) torch
	$(PIP) --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@echo "Installing what the tests need ..."
	$(PIP) --editable '.[training,eval,synth,annotate,pii,records,serve,words,dev]'
	@touch $@

$(EXTRAS)/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "test-extras needs Python 3.11 or newer"; exit 1; }
	$(PYTHON) -m venv $(EXTRAS)
	@echo "Installing the extras into $(EXTRAS) (once; some minutes) ..."
	$(PIP_EXTRAS) torch
	$(PIP_EXTRAS) --editable '.[serve,records,pii,annotate,test-extras]'
	@for extra in $(EXTRA_NAMES); do \
		$(PIP_EXTRAS) --editable ".[$$extra]" \
		|| echo "the extra $$extra cannot be installed here; its tests are skipped"; done
	@touch $@

clean:
	rm -rf $(VENV) $(EXTRAS) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
