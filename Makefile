# GTM: `make demo` shows it, `make test` tests it. A Python from 3.11 on and make are all that must be there.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
ARGS ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11

.PHONY: help demo test check format bench slow lock clean
help:
	@echo 'make demo    a whole small world on loopback: edges with live HLS, the nameserver, the status page'
	@echo 'make test    the fast tests                     make check   format, lint, types and the house rules'
	@echo 'make slow    tests with real servers            make bench   the benchmarks'
	@echo 'make format  put the source into shape          make lock    pin the dependencies anew (needs uv)'
	@echo 'ARGS="..." is handed on: make demo ARGS=--drill'

demo: .venv/run
	@$(BIN)/gtm demo $(ARGS)

# Three on two cores, because many tests wait for a process or a clock; whoever is done takes over what another has left.
# What was compiled is kept: the tests start some hundred processes, and each would compile all of GTM again where the
# environment says that nothing is to be written.
test slow: export PYTHONDONTWRITEBYTECODE =
test: .venv/dev
	@$(BIN)/pytest -n 3 --dist worksteal $(ARGS)

check: .venv/dev
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff .; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/pytest tests/house

format: .venv/dev
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix .

bench: .venv/dev
	@$(BIN)/python -m benchmarks.run $(ARGS)

# Most wait for others, two and two; who measures moments comes after them, alone. 5: what ARGS names is in the other part.
slow: .venv/dev
	@sh tests/slow/needs.sh
	@$(BIN)/pytest -m 'slow and not alone' -n 2 --dist loadfile --durations=10 $(ARGS) || test $$? = 5
	@$(BIN)/pytest -m 'slow and alone' --durations=10 $(ARGS) || test $$? = 5

lock:
	@$(COMPILE) pyproject.toml -o requirements.lock
	@$(COMPILE) pyproject.toml --group dev -o requirements-dev.lock
	@printf 'hatchling\neditables\n' | $(COMPILE) - -o requirements-build.lock

clean:
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

# Two stamps, so that the demo need not wait for the tools of the tests. pip takes only what the lock files name, by
# hash; the build backend is pinned too, which is why there is no build isolation.
.venv/bin/python:
	@test -n "$(PYTHON)" || { echo 'GTM needs Python 3.11 or newer; name one with make PYTHON=...' >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo 'this Python has no venv (on Debian: apt install python3-venv)' >&2; exit 1; }

.venv/run: .venv/bin/python requirements.lock requirements-build.lock pyproject.toml
	@echo 'installing into .venv ...'
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --require-hashes -r requirements-build.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: .venv/run requirements-dev.lock
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@
