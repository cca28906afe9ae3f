#!/bin/sh
# Every check, group by group, each with its time beside its budget in seconds.
set -eu
export OMP_NUM_THREADS=1 PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1

group() {
    name=$1 budget=$2
    shift 2
    started=$(date +%s)
    echo "== $name"
    "$@"
    echo "== $name: $(($(date +%s) - started)) s of $budget s"
}
lint() { ruff check . && lint-imports && mypy; }
unit() { python -m pytest tests -m "not slow and not loop and not gpu" --durations=20 -q; }
loop() {
    if python -m pytest tests -m "loop and not slow" --collect-only -q >/dev/null 2>&1; then
        python -m pytest tests -m "loop and not slow" --durations=20 -q
    fi
}
group "lint and types" 90 lint
group "unit" 240 unit
group "loop and kills" 240 loop
