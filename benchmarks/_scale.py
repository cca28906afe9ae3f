"""`python -m benchmarks._scale PART URL [FILE]`: one question to a large warehouse in a process of its own.

Prints {wall_s, cpu_s, peak_bytes, said}: what the question took, and what it found.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._reporting import peak_bytes
from benchmarks._scale_rows import SOURCE
from warehouse import Warehouse, open_warehouse


def _import(warehouse: Warehouse, path: str) -> Any:
    from warehouse.importers.run import ImportConfig, run

    columns = {"rater": "rater", "dimension": "dimension"}
    receipt = run(ImportConfig(format="table", path=Path(path), name="benchmark table", columns=columns), warehouse)
    return {"votes": receipt.counts.get("votes"), "rejects": sum(receipt.rejected.values())}


def _consensus(warehouse: Warehouse, _: str) -> Any:
    from annotation.consensus import ConsensusConfig, run

    # A seed of its own: the same consensus made before would be found, and nothing measured.
    seed = time.time_ns() % 2**32
    config = ConsensusConfig(vote_sources=(SOURCE,), method="dawid_skene", resamples=50, seed=seed)
    outputs = run(config, warehouse).outputs
    return {"n_votes": outputs["n_votes"], "alpha": outputs["alpha"]}


def _version(warehouse: Warehouse, _: str) -> Any:
    from warehouse.datasets.query import Snapshot
    from warehouse.datasets.recipe import BuildConfig
    from warehouse.datasets.select import outline

    found = outline(Snapshot(BuildConfig(name="x", consensus_ids=("run1",)), warehouse, media=False))
    return {"splits": found.splits, "left_out": found.left_out}


def _agreement(warehouse: Warehouse, _: str) -> Any:
    from warehouse.datasets.agreement import agreement

    return agreement(warehouse, "whole@1")


def _diff(warehouse: Warehouse, _: str) -> Any:
    from warehouse.datasets.diff import diff

    return diff(warehouse, "part@1", "part@2")["counts"]


def _lineage(warehouse: Warehouse, _: str) -> Any:
    from warehouse.lineage import sources

    key = warehouse.rows("SELECT md5('sample' || 77) AS key")[0]["key"]
    return {"children": len(sources(warehouse, key).children)}


PARTS: dict[str, Callable[[Warehouse, str], Any]] = {
    "import": _import,
    "consensus": _consensus,
    "version": _version,
    "agreement": _agreement,
    "diff": _diff,
    "lineage": _lineage,
}


def main(part: str, url: str, path: str = "") -> None:
    """The clock starts when the warehouse is open; the peak is this process's own, everything included."""
    with open_warehouse(url) as warehouse:
        wall, cpu = time.perf_counter(), time.process_time()
        said = PARTS[part](warehouse, path)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"wall_s": wall, "cpu_s": cpu, "peak_bytes": peak_bytes(), "said": said}, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
