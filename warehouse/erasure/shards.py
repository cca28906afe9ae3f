"""Shards without the erased samples: the split is written anew beside the old one, then takes its place.

What stays is copied byte for byte, so every other sample keeps its hash. A kill leaves the old split, the new one, or
both; the next call finishes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.shards import ustar
from warehouse.shards.writer import INDEX, sync_folder, write_index


def rewrite_split(folder: Path, keys: set[str]) -> None:
    """Take the samples `keys` out of the split in `folder`; samples that are gone already are none of its business."""
    fresh, old = folder.with_name(f".{folder.name}.erasing"), folder.with_name(f".{folder.name}.erased")
    if not folder.exists() and fresh.exists():
        os.replace(fresh, folder)
    index = pq.read_table(folder / INDEX)
    rows = index.to_pylist()
    if any(row["key"] in keys for row in rows):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        kept = [
            row
            for shard in dict.fromkeys(row["shard"] for row in rows)
            for row in _copy(folder, fresh, shard, [row for row in rows if row["shard"] == shard], keys)
        ]
        write_index(pa.Table.from_pylist(kept, schema=index.schema), fresh / INDEX)
        sync_folder(fresh)
        os.replace(folder, old)
        os.replace(fresh, folder)
        sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(fresh, ignore_errors=True)


def _copy(folder: Path, fresh: Path, shard: str, rows: list[dict[str, Any]], keys: set[str]) -> list[dict[str, Any]]:
    """One shard without `keys`; returns its index rows. A shard of erased samples alone is not written."""
    kept = [row for row in rows if row["key"] not in keys]
    if len(kept) == len(rows):
        os.link(folder / shard, fresh / shard)
        return kept
    if not kept:
        return []
    placed, offset = [], 0
    with (folder / shard).open("rb") as source, (fresh / shard).open("wb") as target:
        for row in kept:
            source.seek(row["offset"])
            target.write(source.read(row["size"]))
            placed.append(row | {"offset": offset})
            offset += row["size"]
        target.write(ustar.END)
        target.flush()
        os.fsync(target.fileno())
    return placed


def shard_facts(folder: Path, shard: str) -> dict[str, Any] | None:
    """{sha256, samples, size_bytes} of a shard as it lies there, None where it is gone."""
    path = folder / shard
    if not path.is_file():
        return None
    rows = pq.read_table(folder / INDEX, columns=["shard"])["shard"].to_pylist()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "samples": rows.count(shard), "size_bytes": path.stat().st_size}
