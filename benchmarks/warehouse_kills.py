"""`dataset build` is killed at random moments, a hundred times: is every version that is listed whole?

Builds of one dataset run one after the other in forked processes, each with a recipe of its own until that one stands.
A build is killed (SIGKILL) at a moment drawn evenly from the time an undisturbed one takes, so kills fall while rows
are read, shards are written, the folder is renamed and rows are committed. After every kill all versions are listed;
at the end each is verified and compared, byte for byte, with the same recipe built undisturbed elsewhere.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks._preferences import CONSENSUS, fill  # noqa: E402
from benchmarks._reporting import Row, finish  # noqa: E402

_FORKS = multiprocessing.get_context("forkserver")


@dataclass
class Outcome:
    """What was found; `unlike` are versions whose bytes differ from the undisturbed ones."""

    kills: int = 0
    versions: int = 0
    broken: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0


def recipe(number: int) -> dict[str, Any]:
    """A recipe that deals the prompts in its own way."""
    options = {"name": "killed", "consensus_ids": (CONSENSUS,), "split_seed": number, "shard_bytes": 20_000}
    return options | {"validation": 0.2, "test": 0.2}


def _build(url: str, number: int) -> None:
    from warehouse import open_warehouse
    from warehouse.datasets import build

    with open_warehouse(url) as warehouse:
        build.run(build.BuildConfig.model_validate(recipe(number)), warehouse)


def _make(url: str, pairs: int) -> None:
    from warehouse import open_warehouse

    with open_warehouse(url) as warehouse:
        fill(warehouse, pairs)


def _run(target: Any, *arguments: Any) -> float:
    """Seconds that a process of its own took; raises where it failed."""
    started = time.monotonic()
    process = _FORKS.Process(target=target, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{target.__name__} ended with {process.exitcode}")
    return time.monotonic() - started


def _files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.suffix in (".tar", ".parquet"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def kill_builds(url: str, clean: str, kills: int, pairs: int, seed: int) -> Outcome:
    """Kill `kills` builds in the new warehouse `url`; `clean` is a new one where nobody is killed."""
    _FORKS.set_forkserver_preload(["warehouse.datasets.build", "warehouse.datasets.verify"])
    for place in (url, clean):
        _run(_make, place, pairs)
    outcome, chance, number, started = Outcome(), random.Random(seed), 0, time.monotonic()
    usual_s = _run(_build, clean, number)
    while outcome.kills < kills:
        process = _FORKS.Process(target=_build, args=(url, number))
        process.start()
        process.join(chance.uniform(0.0, 1.1 * usual_s))
        if process.is_alive():
            process.kill()
            process.join()
            outcome.kills += 1
            continue
        if process.exitcode:
            outcome.errors.append(f"build {number} ended with {process.exitcode}")
            break
        number += 1
        usual_s = (usual_s + _run(_build, clean, number)) / 2
    _run(_build, url, number)
    _judge(url, clean, outcome)
    outcome.seconds = time.monotonic() - started
    return outcome


def _judge(url: str, clean: str, outcome: Outcome) -> None:
    from warehouse import open_warehouse
    from warehouse.datasets.verify import verify
    from warehouse.datasets.versions import list_versions

    with open_warehouse(url) as killed, open_warehouse(clean) as undisturbed:
        versions = [f"{row['name']}@{row['version']}" for row in list_versions(killed)]
        outcome.versions = len(versions)
        outcome.broken = [name for name in versions if not verify(killed, name)["ok"]]
        hashes = {row["hash"]: row["version"] for row in list_versions(undisturbed)}
        for row in list_versions(killed):
            twin = undisturbed.root / "datasets" / "killed" / f"v{hashes.get(row['hash'], 0)}"
            if _files(killed.root / "datasets" / "killed" / f"v{row['version']}") != _files(twin):
                outcome.unlike.append(f"killed@{row['version']}")


def rows(outcome: Outcome, name: str) -> list[Row]:
    """The table: what must be zero, and how many kills there were."""
    zeros = {"broken": len(outcome.broken), "other bytes": len(outcome.unlike), "errors": len(outcome.errors)}
    return [
        Row(f"{name}: versions, {what}" if what != "errors" else f"{name}: errors", n, None, float(n == 0), "count",
            1.0, n == 0)
        for what, n in zeros.items()
    ]


def main() -> None:
    """A hundred kills, ten with `--quick`."""
    parser = argparse.ArgumentParser(description="Random kills of dataset builds.")
    parser.add_argument("--quick", action="store_true", help="ten kills, no table")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--seed", type=int, default=0, help="when builds are killed")
    args = parser.parse_args()
    kills, pairs = (10, 40) if args.quick else (100, 60)
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_builds(f"{folder}/killed", f"{folder}/clean", kills, pairs, args.seed)
    notes = f"{outcome.kills} kills, {outcome.versions} versions of {pairs} pairs, {outcome.seconds:.0f} s, "
    notes += f"seed {args.seed}.\n\nCommand: `python benchmarks/warehouse_kills.py`.\n"
    print(notes, *outcome.broken, *outcome.unlike, *outcome.errors, sep="\n", file=sys.stderr)
    finish("warehouse_kills", rows(outcome, f"{outcome.kills} kills of {pairs} pairs"), args, notes)


if __name__ == "__main__":
    main()
