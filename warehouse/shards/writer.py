"""Samples -> plain ustar shards and their index, the same bytes for the same samples in the same order.

All samples of one shard have the same member names (design section 4): a shard belongs to one group of task, media
kind and members. A shard is written under a temporary name, synced and renamed, so what has its name is whole; the
index (Parquet: key, shard, offset, size, sha256, task, dimension) comes last. `offset` and `size` span all members of
a sample with their headers, which the sha256 covers too. Left out on purpose: what a sample means (datasets/).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import InvalidInputError
from warehouse.hashing import sha256_hex
from warehouse.shards import ustar

INDEX = "index.parquet"
INDEX_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("shard", pa.string()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
        ("task", pa.string()),
        ("dimension", pa.string()),
    ]
)


@dataclass(frozen=True)
class Record:
    """One sample to write; `members` are (suffix, content), the member's name being `<key>.<suffix>`.

    Samples with a `tag` have shards of their own, whose names begin with it.
    """

    key: str
    task: str
    dimension: str
    media_kind: str
    members: Sequence[tuple[str, bytes]]
    tag: str = ""

    def group(self) -> str:
        """Name of the group: task, media kind and the media members, since the others are the same everywhere."""
        media = [suffix.replace(".", "_") for suffix, _ in self.members if suffix.split(".")[-1] not in ("txt", "json")]
        return "-".join([*([self.tag] if self.tag else []), self.task, self.media_kind, *media])


@dataclass(frozen=True)
class Packed:
    """A sample as it lies in its shard: all members with their headers in `blob`, and its line of the index."""

    key: str
    task: str
    dimension: str
    group: str
    blob: bytes
    sha256: str


def pack(record: Record) -> Packed:
    """The bytes of a sample; threads may do this side by side. Raises InvalidInputError for a key with dot or slash."""
    if "." in record.key or "/" in record.key:
        raise InvalidInputError(f"a sample key has neither dot nor slash, got {record.key!r}")
    members = (ustar.member(f"{record.key}.{suffix}", data) for suffix, data in record.members)
    blob = b"".join(chain.from_iterable(members))
    return Packed(record.key, record.task, record.dimension, record.group(), blob, sha256_hex(blob))


@dataclass(frozen=True)
class Shard:
    """A finished shard; `name` is its file's name."""

    name: str
    sha256: str
    samples: int
    size_bytes: int


def write_index(table: pa.Table, path: Path) -> None:
    """Keys and hashes as they are: no two are alike, so neither a dictionary nor compression makes them smaller."""
    compression = {name: "NONE" if name in ("key", "sha256") else "SNAPPY" for name in table.column_names}
    pq.write_table(table, path, use_dictionary=["shard", "task", "dimension"], compression=compression)


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _OpenShard:
    """A shard that still grows, under its temporary name."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.samples, self.size = name, 0, 0
        self._final, self._part = folder / name, folder / f".part-{name}"
        self._hash = hashlib.sha256()
        self._file = self._part.open("wb")

    def write(self, blob: bytes) -> int:
        """Append; returns the offset."""
        offset = self.size
        self._file.write(blob)
        self._hash.update(blob)
        self.size += len(blob)
        return offset

    def finish(self) -> Shard:
        self.write(ustar.END)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._part, self._final)
        return Shard(self.name, self._hash.hexdigest(), self.samples, self.size)

    def abandon(self) -> None:
        self._file.close()


class SplitWriter:
    """Shards of one split in a folder that the caller has emptied."""

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._shard_bytes = folder, shard_bytes
        self.shards: list[Shard] = []
        self._open: dict[str, _OpenShard] = {}
        self._numbers: dict[str, int] = {}
        self._index: dict[str, list[str | int]] = {name: [] for name in INDEX_SCHEMA.names}

    def __len__(self) -> int:
        return len(self._index["key"])

    def add(self, sample: Packed) -> str:
        """Write one sample and return its shard's name; a shard that would grow past the target is closed before."""
        size = len(sample.blob)
        shard = self._shard(sample.group, size)
        offset = shard.write(sample.blob)
        shard.samples += 1
        row: tuple[str | int, ...] = (sample.key, shard.name, offset, size, sample.sha256)
        row += (sample.task, sample.dimension)
        for column, value in zip(self._index.values(), row, strict=True):
            column.append(value)
        return shard.name

    def _shard(self, group: str, size: int) -> _OpenShard:
        current = self._open.get(group)
        if current is not None and current.size + size + len(ustar.END) > self._shard_bytes:
            self.shards.append(self._open.pop(group).finish())
            current = None
        if current is None:
            number = self._numbers.get(group, 0)
            self._numbers[group] = number + 1
            current = self._open[group] = _OpenShard(self.folder, f"{group}-{number:06d}.tar")
        return current

    def close(self) -> list[Shard]:
        """Finish every shard, write the index, and return the shards by name."""
        for group in sorted(self._open):
            self.shards.append(self._open.pop(group).finish())
        table = pa.table(self._index, schema=INDEX_SCHEMA).sort_by([("shard", "ascending"), ("offset", "ascending")])
        part = self.folder / f".part-{INDEX}"
        write_index(table, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, self.folder / INDEX)
        sync_folder(self.folder)
        self.shards.sort(key=lambda shard: shard.name)
        return self.shards

    def abandon(self) -> None:
        """Let go of open files after an error; what is unfinished keeps its temporary name."""
        for shard in self._open.values():
            shard.abandon()
