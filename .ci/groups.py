"""What `make test` runs: groups of checks, each with its time budget; all of them run, also after one has failed.

A group that fails makes the exit code 1. A group over its budget is reported, not failed: machines differ.
`python .ci/groups.py NAME ...` runs only the named groups.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
BIN = Path(PYTHON).parent
REAL_MEDIA = "tests/test_real_media.py"
PYTEST = [PYTHON, "-m", "pytest", "-q"]
# Files side by side, each whole on one process: what a module sets up is set up once.
SIDE_BY_SIDE = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadfile"]
PEOPLE = "label_studio or browser"
GROUPS: dict[str, tuple[int, list[list[str]]]] = {
    "lint and types": (
        90,
        [[str(BIN / "ruff"), "check", "."], [str(BIN / "mypy")], [str(BIN / "lint-imports")]],
    ),
    "unit": (
        240,
        [[*PYTEST, *SIDE_BY_SIDE, "-m", f"not slow and not loop and not ({PEOPLE})", f"--ignore={REAL_MEDIA}"]],
    ),
    "annotation": (180, [[*PYTEST, "-m", f"not slow and not loop and ({PEOPLE})", f"--ignore={REAL_MEDIA}"]]),
    "loop and kills": (240, [[*PYTEST, "-m", "not slow and loop", f"--ignore={REAL_MEDIA}"]]),
    "real media": (60, [[*PYTEST, "-m", "not slow", REAL_MEDIA]]),
}


def run_group(name: str) -> tuple[float, bool]:
    """Seconds and success of one group."""
    started, ok = time.monotonic(), True
    for command in GROUPS[name][1]:
        print(f"== {name}: {' '.join(Path(part).name if part == command[0] else part for part in command)}", flush=True)
        ok = subprocess.run(command, cwd=ROOT).returncode == 0 and ok
    return time.monotonic() - started, ok


def main(names: list[str]) -> int:
    """Runs the groups and prints the table of budgets."""
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        print(f"no group {unknown}; one of {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    taken = {name: run_group(name) for name in names or GROUPS}
    print("== budgets")
    for name, (seconds, ok) in taken.items():
        budget = GROUPS[name][0]
        state = "ok" if ok else "FAILED"
        late = " (over its budget)" if seconds > budget else ""
        print(f"   {name:<16} {seconds:6.0f} s of {budget:3} s   {state}{late}")
    return 0 if all(ok for _, ok in taken.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
