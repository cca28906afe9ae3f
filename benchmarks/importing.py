"""Importing large files: peak memory and CPU seconds of one process that imports a Parquet table of votes whose media
are absent, and of one that reads a JSON list as HPDv3 publishes it.

Memory is the whole process: interpreter, libraries (`floor`), DuckDB, and what the import holds. Seconds are CPU
seconds, so that neighbours on the machine do not count; their limit is the one of 10 million votes in 90 s, in
proportion.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._reporting import Row, arguments, finish, peak_bytes  # noqa: E402

_MEMORY_MB = 1024.0
_READING_MB = 400.0
_SECONDS_A_VOTE = 90.0 / 10_000_000
_BLOCK = 100_000
_NOTES = """Limits: 1,024 MB, 9 CPU s a million votes (10 million in 90 s), 400 MB; the process with its libraries and
nothing to do takes 220 MB. A table is imported by columns, in the database; hpdv3 is read a row at a time.
"""
_COLUMNS = {name: name for name in ("rater", "model_first", "model_second")}


def votes_table(path: Path, votes: int) -> None:
    """Three votes a pair, ten pairs a prompt, 500 raters."""
    random, writer = np.random.default_rng(0), None
    for start in range(0, votes, _BLOCK):
        number = np.arange(start, min(start + _BLOCK, votes))
        pair = number // 3
        block = pa.table({
            "prompt": [f"a prompt about thing number {p // 10} in a scene" for p in pair],
            "first": [f"images/{p}_0.jpg" for p in pair],
            "second": [f"images/{p}_1.jpg" for p in pair],
            "label": np.array(["first", "second", "tie"])[random.integers(0, 3, len(number))],
            "rater": [f"rater {r}" for r in (pair * 7 + number % 3 * 31) % 500],
            "model_first": [f"model {p % 7}" for p in pair],
            "model_second": [f"model {p % 5 + 7}" for p in pair],
        })  # fmt: skip
        writer = writer or pq.ParquetWriter(path, block.schema)
        writer.write_table(block)
    assert writer is not None
    writer.close()


def hpdv3_list(path: Path, rows: int) -> None:
    """One JSON list, indented as published."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            row = {"prompt": f"prompt {number} " + "of many words " * 12, "path1": f"images/{number}a.jpg",
                   "path2": f"images/{number}b.jpg", "model1": "flux", "model2": "kolors", "choice_dist": [12, 7],
                   "confidence": 0.97}  # fmt: skip
            file.write(("[" if number == 0 else ",") + "\n" + json.dumps(row, indent=4))
        file.write("\n]\n")


def _import(path: str, folder: str) -> int:
    from warehouse import open_warehouse
    from warehouse.importers.run import ImportConfig, run

    with open_warehouse(f"{folder}/warehouse") as warehouse:
        receipt = run(ImportConfig(format="table", path=Path(path), columns=_COLUMNS), warehouse)
    return receipt.counts["votes"]


def _read(path: str, folder: str) -> int:
    from warehouse.importers.comparison import FormatOptions
    from warehouse.importers.formats import FORMATS
    from warehouse.importers.reading import Reading
    from warehouse.importers.rows import file_digest

    file_digest(Path(path))
    return sum(1 for _ in Reading(FORMATS["hpdv3"], FormatOptions(), Path(folder), [Path(path)]).outcomes(dedupe=False))


def measure(what: str, path: Path, folder: Path) -> dict[str, float]:
    """Runs one job in a process of its own."""
    command = [sys.executable, __file__, "--job", what, str(path), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(f"{what}: {done.stdout.strip()}", file=sys.stderr)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _job(what: str, path: str, folder: str) -> None:
    import warehouse.importers.run  # noqa: F401

    floor, started = peak_bytes() / 2**20, time.process_time()
    done = {"import": _import, "read": _read}[what](path, folder)
    spent = {"peak_mb": peak_bytes() / 2**20, "cpu_s": time.process_time() - started}
    print(json.dumps({"done": done, "floor_mb": floor} | spent))


def _limit(name: str, ours: float, limit: float, unit: str) -> Row:
    return Row(name, round(ours, 1), None, round(limit / ours, 3), unit, 1.0, ours <= limit)


def rows(votes: int, listed: int, folder: Path) -> Sequence[Row]:
    """Both measurements."""
    votes_table(folder / "votes.parquet", votes)
    hpdv3_list(folder / "train.json", listed)
    imported = measure("import", folder / "votes.parquet", folder)
    read = measure("read", folder / "train.json", folder)
    assert (imported["done"], read["done"]) == (votes, listed)
    size_mb = (folder / "train.json").stat().st_size / 1e6
    return [
        _limit(f"import table, {votes:,} votes in Parquet: peak memory", imported["peak_mb"], _MEMORY_MB, "MB"),
        _limit(f"import table, {votes:,} votes in Parquet", imported["cpu_s"], votes * _SECONDS_A_VOTE, "CPU s"),
        _limit(f"read hpdv3, {listed:,} rows, {size_mb:,.0f} MB of JSON: peak memory", read["peak_mb"], _READING_MB,
               "MB"),
    ]  # fmt: skip


def main() -> None:
    """See the module."""
    if sys.argv[1:2] == ["--job"]:
        _job(*sys.argv[2:5])
        return
    args = arguments(__doc__ or "")
    votes, listed = (20_000, 20_000) if args.quick else (1_000_000, 300_000)
    with tempfile.TemporaryDirectory() as folder:
        found = rows(votes, listed, Path(folder))
    finish("importing", found, args, _NOTES)


if __name__ == "__main__":
    main()
