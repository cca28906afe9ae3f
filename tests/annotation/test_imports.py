from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_an_annotation_host_needs_no_torch_and_no_pandas_and_knows_no_simulation() -> None:
    code = ("import sys, duckdb, warehouse, annotation.campaign, annotation.consensus, annotation.open_tasks\n"
            "from warehouse.parameters import settle\n"
            "settle()\n"
            "duckdb.sql('SELECT ?', params=['DuckDB asks pandas what this is']).fetchall()\n"
            "print(' '.join({name.split('.')[0] for name in sys.modules}))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert not {"torch", "transformers", "prefect", "pandas", "simulation", "generation", "rm"} & loaded
