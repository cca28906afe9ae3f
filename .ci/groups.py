"""What `make test` runs: groups of checks in two lanes, side by side, each group with its time budget.

Every group runs, also after one has failed; each line of output begins with its group. A group that fails makes the
exit code 1, and the last lines name what failed in it and what was skipped. A group over its budget is reported, not
failed: machines differ. `python .ci/groups.py NAME ...` runs only the named groups.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
BIN = Path(PYTHON).parent
REAL_MEDIA = "tests/test_real_media.py"
PYTEST = [PYTHON, "-m", "pytest", "-q"]
# Files side by side, each whole on one process: what a module sets up is set up once.
SIDE_BY_SIDE = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
PEOPLE = "label_studio or browser"
TOTAL_S = 900


@dataclass(frozen=True)
class Group:
    """Commands that are timed together against `budget_s` seconds of two idle cores."""

    budget_s: int
    commands: tuple[list[str], ...]


LANES: tuple[dict[str, Group], ...] = (
    {
        "unit": Group(600, ([*PYTEST, *SIDE_BY_SIDE, "-m", f"not slow and not loop and not ({PEOPLE})",
                             f"--ignore={REAL_MEDIA}"],)),
        "lint and types": Group(90, ([str(BIN / "ruff"), "check", "."], [str(BIN / "mypy")],
                                     [str(BIN / "lint-imports")])),
    },
    {
        "loop and kills": Group(420, ([*PYTEST, "-m", "not slow and loop", f"--ignore={REAL_MEDIA}"],)),
        "annotation": Group(240, ([*PYTEST, "-m", f"not slow and not loop and ({PEOPLE})", f"--ignore={REAL_MEDIA}"],)),
        "real media": Group(90, ([*PYTEST, "-m", "not slow", REAL_MEDIA],)),
    },
)
GROUPS = {name: group for lane in LANES for name, group in lane.items()}
BROKEN = ("FAILED ", "ERROR ", "Found ")  # how pytest's summary, ruff and mypy begin the lines that count failures
_printing = threading.Lock()
_broken: list[str] = []
_skipped: list[str] = []


def _say(name: str, line: str) -> None:
    with _printing:
        print(f"{name} | {line.rstrip()}", flush=True)


def _run(name: str, command: list[str]) -> bool:
    """Runs one command, telling its output line by line."""
    _say(name, f"$ {' '.join([Path(command[0]).name, *command[1:]])}")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            _say(name, line)
            for kept, begins in ((_broken, BROKEN), (_skipped, "SKIPPED ")):
                if line.startswith(begins):
                    kept.append(f"   {name}: {line.rstrip()[:400]}")
    return process.returncode == 0


def run_group(name: str) -> tuple[float, bool]:
    """Seconds and success of one group."""
    started = time.monotonic()
    ok = all([_run(name, command) for command in GROUPS[name].commands])
    seconds = time.monotonic() - started
    _say(name, f"{'ok' if ok else 'FAILED'} after {seconds:.0f} s")
    return seconds, ok


def run_lane(names: list[str]) -> dict[str, tuple[float, bool]]:
    """The groups of a lane one after another."""
    return {name: run_group(name) for name in names}


def main(names: list[str]) -> int:
    """Runs the groups and prints the table of budgets."""
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        print(f"no group {unknown}; one of {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    started = time.monotonic()
    with ThreadPoolExecutor(len(LANES)) as pool:
        lanes = pool.map(run_lane, [[name for name in lane if name in (names or lane)] for lane in LANES])
        taken = {name: result for lane in lanes for name, result in lane.items()}
    print("== budgets, two lanes side by side")
    for name, (seconds, ok) in taken.items():
        late = " (over its budget)" if seconds > GROUPS[name].budget_s else ""
        print(f"   {name:<16} {seconds:6.0f} s of {GROUPS[name].budget_s:3} s   {'ok' if ok else 'FAILED'}{late}")
    total = time.monotonic() - started
    print(f"   {'all':<16} {total:6.0f} s of {TOTAL_S:3} s{' (over its budget)' if total > TOTAL_S else ''}")
    print("\n".join(_broken) if _broken else "   nothing failed")
    print("\n".join(_skipped) if _skipped else "   nothing was skipped")
    return 0 if all(ok for _, ok in taken.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
