"""What every benchmark shares: its two flags, the rows that scripts read, and the dated table under benchmarks/results.

A row is {name, ours, peer, ratio, unit, target, ok}; ok means ratio >= target. Without `--quick` the table is written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Row:
    """One comparison; `peer` is None for an absolute limit, whose ratio is limit / ours."""

    name: str
    ours: float
    peer: float | None
    ratio: float
    unit: str
    target: float
    ok: bool


def arguments(about: str) -> argparse.Namespace:
    """`--quick` and `--json FILE`."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, under a minute, no table")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    return parser.parse_args()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = ["| name | ours | peer | ratio | unit | target | ok |", "|---|---|---|---|---|---|---|"]
    lines += [f"| {row.name} | {_number(row.ours)} | {_number(row.peer)} | {_number(row.ratio)} | {row.unit} "
              f"| {_number(row.target)} | {'yes' if row.ok else 'no'} |" for row in rows]
    return "\n".join(lines)


def finish(name: str, rows: Sequence[Row], args: argparse.Namespace, notes: str = "") -> None:
    """Print the table; write JSON where asked, and the dated page unless the run was a quick one."""
    text = table(rows)
    print(text)
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    if not args.quick:
        RESULTS.mkdir(exist_ok=True)
        machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        head = f"# {name}\n\n{datetime.now(UTC):%Y-%m-%d}, {machine}\n\n"
        (RESULTS / f"{name}.md").write_text(f"{head}{text}\n{notes and chr(10) + notes}", encoding="utf-8")


def peak_bytes() -> int:
    """The most memory this process has held. Not ru_maxrss, which a child takes over from who started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
