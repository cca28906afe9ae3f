# make setup | test | clean. The environment is .venv; PYTHON picks another interpreter (3.11 to 3.13).
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS := 1

.venv/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check "torch==2.13.0"
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

setup: .venv/.done

test: setup
	@echo "== lint and types"
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@echo "== tests"
	$(BIN)/python -m pytest

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis runs

.PHONY: setup test clean
