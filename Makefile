# make setup | demo | test | bench | clean. The environment is .venv; PYTHON picks another interpreter (3.11 to 3.13).
#   make setup [WITHOUT=label-studio,chromium,postgresql]   services that tests need; 1 GB, some by apt as root
#   make demo [QUICK=1] [TASTE=small_cool] [OUT=runs/demo]
PYTHON ?= python3
BIN := .venv/bin
OUT ?= runs/demo
export OMP_NUM_THREADS := 1

.venv/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check "torch==2.13.0"
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

setup: .venv/.done
	$(BIN)/rewarddance doctor --install all

demo: .venv/.done
	$(BIN)/rewarddance demo $(if $(QUICK),--quick) $(if $(TASTE),--taste $(TASTE)) --out $(OUT)

# Every group runs, also after one has failed; the last lines say how long each took against its budget.
test: setup
	$(BIN)/python .ci/groups.py

bench: .venv/.done
	@for script in benchmarks/[a-z]*.py; do \
	    [ -e "$$script" ] || continue; \
	    echo "== $$script"; $(BIN)/python "$$script" $(if $(QUICK),--quick) || exit 1; \
	done

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis runs

.PHONY: setup demo test bench clean
