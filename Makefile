# Five targets: setup, demo, test, bench, clean. Everything is made inside this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= runs/demo
TASTE ?= large_warm
STAMP := $(VENV)/.installed
ifneq ($(QUICK),)
CONFIG := configs/demo_quick.yaml
else
CONFIG := configs/demo.yaml
endif

.PHONY: setup demo test bench clean
setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev,diffusers]"
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/rewarddance run $(CONFIG) --out $(OUT) --taste $(TASTE)

test: $(STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh .ci/checks.sh

bench: $(STAMP)
	for script in benchmarks/*_bench.py; do [ -f "$$script" ] || continue; $(BIN)/python "$$script" $(if $(QUICK),--quick) || exit 1; done

clean:
	rm -rf $(VENV) .cache runs build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
