"""The house's own rules: sizes, what an import may load, how fast the command line answers."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("pipelines", "simulation", "alignment", "rm", "generation", "annotation", "warehouse")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sizes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} is too long"


def _loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                              cwd=ROOT).stdout.split())


def test_warehouse_starts_without_torch() -> None:
    assert not {"torch", "prefect", "webdataset"} & _loaded_by("import warehouse")


def test_command_line_starts_without_heavy_modules() -> None:
    heavy = {"torch", "prefect", "duckdb", "numpy", "matplotlib", "transformers"}
    assert not heavy & _loaded_by("import pipelines.cli.main")


def test_help_is_quick() -> None:
    """Processor seconds: what a user waits for on an idle machine, whatever runs beside this test."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "pipelines.cli", "--help"], capture_output=True, check=True, cwd=ROOT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(once() for _ in range(5)) < 0.7
