# `make demo` and `make test` need Python 3.10 or newer and make; each creates .venv and installs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt

.PHONY: demo test test-fast test-all test-nightly test-clients lint lint-js check docs site fuzz clean

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) -e ".[test,dev]"
	touch $@

demo: $(VENV)/installed
	$(BIN)/searchdet demo -o demo

# make test ARGS="-k name": what pytest takes. Files of tests go to two processes; ARGS=-n0 for none.
# They start Python often: its bytecode is kept.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
test: $(VENV)/installed-dev
	$(PYTEST) -m "not (slow or client)" $(ARGS)

test-fast: $(VENV)/installed-dev
	$(PYTEST) -m "not (slow or browser or model or process or client)" $(ARGS)

# The slow ones too, and more examples of each property.
test-all: $(VENV)/installed-dev
	$(PYTEST) -m "not (sample or client)" --hypothesis-profile=ci $(ARGS)

# What chance tries, for an hour or more: five times the examples, and many more kills and requests.
test-nightly: $(VENV)/installed-dev
	SERVE_KILLS=40 RAY_KILLS=20 SERVE_REQUESTS=5000 STORE_STEP=1 $(PYTEST) -m "not (sample or client)" \
		--hypothesis-profile=nightly $(ARGS)

# Exports as the readers of other tools take them: these go into .venv-clients, which needs the network.
# Writes the table in docs/import.md.
CLIENTS := .venv-clients
$(CLIENTS)/installed: $(VENV)/installed-dev tests/clients/packages.txt tests/clients/install.py
	$(BIN)/python tests/clients/install.py $(CLIENTS)
	touch $@

test-clients: $(CLIENTS)/installed
	$(CLIENTS)/bin/python -m pytest -p no:cacheprovider -q -m client tests/clients $(ARGS)
	$(CLIENTS)/bin/python docs/make_clients.py

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory lint-js; \
	else echo "npm is missing: the JavaScript of the report is not linted"; fi

node_modules/installed: package.json package-lock.json .npmrc
	npm ci --silent
	touch $@

lint-js: node_modules/installed eslint.config.mjs
	npm run --silent lint

check: lint test

# 60 seconds of damaged files for every reader, then 60 guided by coverage where atheris installs.
fuzz: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python fuzz/mutate.py --seconds 60
	-@$(PIP) atheris 2> /dev/null
	OMP_NUM_THREADS=1 $(BIN)/python fuzz/guided.py --seconds 60

docs: $(VENV)/installed
	$(BIN)/python docs/make_commands.py
	$(BIN)/python docs/make_architecture.py

$(VENV)/installed-docs: $(VENV)/installed
	$(PIP) -e ".[docs]"
	touch $@

# All documents as a searchable site; look at it with: python -m http.server -d site
site: $(VENV)/installed-docs docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q

clean:
	rm -rf $(VENV) $(CLIENTS) demo site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache node_modules
