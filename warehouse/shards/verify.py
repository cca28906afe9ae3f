"""Are the shards of a split what its index says? Every byte is read, and none is trusted.

Needs the folder alone, no catalog, so that a copy on a training cluster can be checked where it lies. Each shard must
be tiled by its samples without gap or overlap and end in two zero blocks: what hides behind or between samples is
found too. Left out on purpose: what the catalog's rows say of them (datasets/verify.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from warehouse.catalog import Warehouse
from warehouse.errors import CorruptDataError
from warehouse.hashing import sha256_hex
from warehouse.shards import ustar
from warehouse.shards.reader import read_index, split_folder

Entry = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong; `key` is "" where it is not about one sample."""

    shard: str
    key: str
    problem: str


def verify_split(warehouse: Warehouse | Path | str, name: str, version: int, split: str) -> list[Finding]:
    """Everything wrong with one split of a version, in order of shard and offset; empty where it is sound.

    Raises NotFoundError for a split that is not there and CorruptDataError for an index that cannot be read.
    """
    return list(verify_folder(split_folder(warehouse, name, version, split)))


def verify_folder(folder: Path) -> Iterator[Finding]:
    """The same for a folder of shards with their index."""
    entries = read_index(folder).to_pylist()
    shards: dict[str, list[Entry]] = {path.name: [] for path in sorted(folder.glob("*.tar"))}
    seen: set[str] = set()
    for entry in entries:
        shards.setdefault(entry["shard"], []).append(entry)
        if entry["key"] in seen:
            yield Finding(entry["shard"], entry["key"], "the key comes twice")
        seen.add(entry["key"])
    for shard in sorted(shards):
        yield from _shard(folder, shard, sorted(shards[shard], key=lambda entry: int(entry["offset"])))


def _shard(folder: Path, shard: str, entries: list[Entry]) -> Iterator[Finding]:
    path = folder / shard
    if "/" in shard:
        yield Finding(shard, "", "the shard is no plain file of this folder")
        return
    if not path.is_file():
        yield from (Finding(shard, entry["key"], "the shard is gone") for entry in entries)
        return
    size, place = path.stat().st_size, 0
    with path.open("rb") as file:
        for entry in entries:
            if entry["offset"] != place:
                yield Finding(shard, entry["key"], f"begins at byte {entry['offset']}, expected {place}")
            problem = _sample(file, entry, size)
            if problem:
                yield Finding(shard, entry["key"], problem)
            place = entry["offset"] + entry["size"]
        file.seek(place)
        if size != place + len(ustar.END) or file.read(len(ustar.END)) != ustar.END:
            yield Finding(shard, "", f"{size} bytes, expected {place} of samples and {len(ustar.END)} zeros")


def _sample(file: BinaryIO, entry: Entry, size: int) -> str:
    """What is wrong with one sample, "" for nothing; nothing is read past the end of the file."""
    there = max(0, min(entry["size"], size - entry["offset"]))
    if there < entry["size"]:
        return f"cut off: {there} of {entry['size']} bytes"
    file.seek(entry["offset"])
    blob = file.read(there)
    if sha256_hex(blob) != entry["sha256"]:
        return "other bytes than were written: sha256 differs"
    try:
        strangers = [name for name, _ in ustar.members(blob) if name.partition(".")[0] != entry["key"]]
    except CorruptDataError as error:
        return error.message
    return f"holds {strangers[0]}" if strangers else ""
