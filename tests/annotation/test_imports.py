from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_an_annotation_host_needs_no_torch_and_knows_no_simulation() -> None:
    code = ("import sys, warehouse, annotation.campaign, annotation.consensus, annotation.open_tasks\n"
            "print(' '.join({name.split('.')[0] for name in sys.modules}))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"torch", "transformers", "prefect", "simulation", "generation", "rm"} & set(done.stdout.split())
