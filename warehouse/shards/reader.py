"""Shards -> samples: a torch-free, picklable, map-style view over the index, for any loader.

A sample is one read at its offset: of the shard in the folder or, where the folder has none, of the object behind it.
Flipped bytes, a damaged header and a truncated shard are errors that name shard and key, never a sample less. No file
stays open, so worker processes and threads share nothing. Left out on purpose: decoding media, batches, tensors (rm/
and the loader that wraps this).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from warehouse.catalog import Warehouse
from warehouse.errors import ConflictError, CorruptDataError, InvalidInputError, NewerSchemaError, NotFoundError
from warehouse.hashing import sha256_hex
from warehouse.remote import Remote, remote_of
from warehouse.shards import ustar
from warehouse.shards.order import Indices, epoch_order, share
from warehouse.shards.writer import INDEX, INDEX_SCHEMA

SAMPLE_SCHEMA = 1
_COLUMNS = ("key", "shard", "offset", "size", "sha256")
_ONE_IN = 64
_AT_ONCE = 16
Check = Literal["off", "sampled", "full"]


@dataclass(frozen=True)
class Sample:
    """One (pair, dimension): media bytes as stored, texts, and the JSON's facts.

    `instruction` is a template with the slots {prompt} {image_1} {image_2}; `rationale` is "" where there is none;
    facts["p_a"] in [0, 1] is the label, P(a beats b).
    """

    key: str
    a: bytes
    b: bytes
    references: tuple[bytes, ...]
    condition: bytes | None
    prompt: str
    instruction: str
    rationale: str
    facts: dict[str, Any]


def _members(key: str, blob: bytes, where: str) -> dict[str, bytes]:
    """A sample's members by suffix, each looked at closely; raises CorruptDataError."""
    found: dict[str, bytes] = {}
    for name, data in ustar.members(blob, where):
        owner, _, suffix = name.partition(".")
        if owner != key:
            raise CorruptDataError(f"the index says sample {key}, the shard holds {name}", where=where)
        found[suffix] = data
    return found


def _assemble(key: str, members: Mapping[str, bytes], where: str) -> Sample:
    media: dict[str, bytes] = {}
    rest: dict[str, bytes] = {}
    for suffix, data in members.items():
        role, _, extension = suffix.partition(".")
        (rest if extension in ("", "txt") else media)[role] = data
    try:
        facts = json.loads(rest["json"])
        if facts["schema"] > SAMPLE_SCHEMA:
            raise NewerSchemaError(
                f"sample schema {facts['schema']}, this software reads {SAMPLE_SCHEMA}", where=where, hint="upgrade it"
            )
        texts = {name: rest[name].decode() for name in ("prompt", "instruction", "rationale")}
        references = tuple(media[f"ref{i}"] for i in range(sum(role.startswith("ref") for role in media)))
        return Sample(key, media["a"], media["b"], references, media.get("cond"), facts=facts, **texts)
    except (KeyError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CorruptDataError(f"sample {key} has not the members of a sample: {error!r}", where=where) from error


def read_index(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The index of a split, whole or some columns; raises NotFoundError, or CorruptDataError where it is damaged."""
    path = folder / INDEX
    if not path.is_file():
        raise NotFoundError(f"no split here: {path} is missing", hint="see: rewarddance dataset list")
    try:
        # Mapped, not copied: what is stored plainly (writer.write_index) is there at once.
        with pq.ParquetFile(path, memory_map=True) as file:
            return file.read(columns=columns).cast(_schema_of(columns))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorruptDataError(f"the index cannot be read: {error}", where=str(path)) from error


def _schema_of(columns: Sequence[str] | None) -> pa.Schema:
    return pa.schema([INDEX_SCHEMA.field(name) for name in columns or INDEX_SCHEMA.names])


class ShardDataset:
    """Samples of one split by index 0 .. len - 1, and the order in which an epoch meets them.

    `seed` decides the shuffle of every epoch; `tasks` and `dimensions` keep only theirs (empty: all). Negative
    indices count from the end. `check` says whose sha256 is taken: of every sample ("full"), of another 64th in every
    epoch ("sampled"), of none ("off": damaged headers and missing bytes are still found, flipped pixels are not).
    `remote` is the storage that holds shards which the folder lacks, and the folder's name there. Raises
    NotFoundError where the folder has no index.
    """

    def __init__(
        self,
        folder: Path,
        seed: int = 0,
        tasks: Sequence[str] = (),
        dimensions: Sequence[str] = (),
        check: Check = "full",
        remote: tuple[Remote, str] | None = None,
    ) -> None:
        if check not in get_args(Check):
            raise InvalidInputError(f"unknown check {check!r}", hint=f"one of {', '.join(get_args(Check))}")
        self.folder, self.seed, self.check, self._remote = folder, seed, check, remote
        self._kept = {"task": tuple(tasks), "dimension": tuple(dimensions)}
        self._epoch = self._consumed = 0
        self._suffixes: dict[str, tuple[str, ...]] = {}
        self._index = self._read_index()

    def _read_index(self) -> dict[str, pa.Array]:
        kept = {column: values for column, values in self._kept.items() if values}
        table = read_index(self.folder, (*_COLUMNS, *kept))
        for column, values in kept.items():
            table = table.filter(pc.is_in(table[column], pa.array(values, pa.string())))
        return {name: table[name].combine_chunks() for name in _COLUMNS}

    def __getstate__(self) -> dict[str, Any]:
        # Workers read the index again instead of receiving it through a pipe.
        return {name: value for name, value in self.__dict__.items() if name != "_index"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._index = self._read_index()

    def __len__(self) -> int:
        return len(self._index["key"])

    @property
    def keys(self) -> list[str]:
        """Sample keys in index order."""
        return list(self._index["key"].to_pylist())

    def tagged(self, tag: str) -> NDArray[np.bool_]:
        """Whether each sample [N] lies in a shard of that tag, whose name begins with it."""
        return np.asarray(pc.starts_with(self._index["shard"], f"{tag}-"), dtype=bool)

    def __getitem__(self, index: int) -> Sample:
        """The verified sample; raises IndexError, or CorruptDataError that names shard and key."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        key, shard, offset, size, sha256 = (column[int(index)].as_py() for column in self._index.values())
        where = f"{self.folder}/{shard}, sample {key}"
        blob = self._read(shard, offset, size, where)
        if len(blob) != size or (self._checks(sha256) and sha256_hex(blob) != sha256):
            raise CorruptDataError(
                f"sample {key} of shard {shard} has not the bytes it was written with: {len(blob)} of {size} bytes, "
                "sha256 differs",
                where=where,
                hint="restore the shard, or build the version again elsewhere",
            )
        return _assemble(key, self._split(key, shard, blob, where), where)

    def _split(self, key: str, shard: str, blob: bytes, where: str) -> Mapping[str, bytes]:
        """The members by suffix; all samples of a shard have the same ones."""
        known = self._suffixes.get(shard, ())
        data = ustar.contents(blob, [f"{key}.{suffix}" for suffix in known]) if known else None
        if data is not None:
            return dict(zip(known, data, strict=True))
        found = _members(key, blob, where)
        self._suffixes[shard] = tuple(found)
        return found

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Several samples in the order asked; torch's loader asks for batches so. Remote ones are read at once."""
        if self._remote is None:
            return [self[index] for index in indices]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self.__getitem__, indices))

    def _checks(self, sha256: str) -> bool:
        return self.check == "full" or (self.check == "sampled" and (int(sha256[:8], 16) - self._epoch) % _ONE_IN == 0)

    def _read(self, shard: str, offset: int, size: int, where: str) -> bytes:
        if "/" in shard:
            raise CorruptDataError(f"shard {shard} is outside the split", where=where)
        try:
            handle = os.open(f"{self.folder}/{shard}", os.O_RDONLY)
        except FileNotFoundError as error:
            if self._remote is None:
                raise CorruptDataError(f"shard {shard} is gone", where=where, hint="restore the shard") from error
            return self._read_remote(*self._remote, shard, offset, size, where)
        try:
            # What an index claims past the end of the file is never asked for.
            return os.pread(handle, min(size, max(0, os.fstat(handle).st_size - offset)), offset)
        finally:
            os.close(handle)

    def _read_remote(self, remote: Remote, place: str, shard: str, offset: int, size: int, where: str) -> bytes:
        try:
            return remote.read(f"{place}/{shard}", offset, size)
        except NotFoundError as error:
            raise CorruptDataError(f"shard {shard} is gone", where=where, hint="restore the shard") from error

    def set_epoch(self, epoch: int) -> None:
        """Start an epoch from its beginning."""
        self._epoch, self._consumed = epoch, 0

    def advance(self, samples: int) -> None:
        """Say that the next `samples` of this epoch's order were used, by all ranks together."""
        if samples < 0:
            raise InvalidInputError(f"samples must be non-negative, got {samples}")
        self._consumed = min(self._consumed + samples, len(self))

    def plan(self, rank: int, world: int) -> Indices:
        """Indices that `rank` of `world` meets in what is left of this epoch, int64 [steps], as many on every rank.

        Over all ranks every sample that is left comes exactly once. Where `world` does not divide their number, fewer
        than `world` samples from the beginning of the epoch come again at its end.
        """
        return share(epoch_order(len(self), self.seed, self._epoch), rank, world, self._consumed)

    def state_dict(self) -> dict[str, Any]:
        """Where the epoch stands. It holds for any world size: a run may go on with more or fewer ranks."""
        return {
            "seed": self.seed,
            "epoch": self._epoch,
            "consumed": self._consumed,
            "samples": len(self),
            "fingerprint": self.fingerprint(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken; raises ConflictError where it is of other samples."""
        if state["fingerprint"] != self.fingerprint():
            raise ConflictError(
                f"the state is of {state['samples']} other samples, this split has {len(self)}",
                where=str(self.folder),
                hint="resume with the dataset version, tasks and dimensions of the interrupted run",
            )
        self.seed, self._epoch, self._consumed = int(state["seed"]), int(state["epoch"]), int(state["consumed"])

    def fingerprint(self) -> str:
        """SHA-256 over the samples' own hashes, in order."""
        return sha256_hex(_joined(self._index["sha256"]))


def _joined(texts: pa.StringArray) -> memoryview:
    """The texts of an array without nulls, one behind the other, where they lie in memory."""
    _, offsets, data = texts.buffers()
    if data is None:
        return memoryview(b"")
    ends = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4)
    return memoryview(data)[ends[0] : ends[-1]]


def split_folder(warehouse: Warehouse | Path | str, name: str, version: int, split: str) -> Path:
    """Where the index and perhaps the shards of a split lie; raises NotFoundError that names what there is.

    Where object storage lies behind the folder, the index is brought here first, anew where it has changed.
    """
    root = warehouse.root if isinstance(warehouse, Warehouse) else Path(warehouse)
    folder = root / "datasets" / name / f"v{version}" / split
    remote = remote_of(root)
    indexes = [path.relative_to(root).as_posix() for path in folder.parent.glob(f"*/{INDEX}")]
    if remote:
        indexes = [found for found in remote.names(f"datasets/{name}/v{version}/") if found.endswith(f"/{INDEX}")]
        mine = (folder / INDEX).relative_to(root).as_posix()
        if mine in indexes:
            remote.refresh(mine, folder / INDEX)
    if not (folder / INDEX).is_file():
        there = sorted(Path(index).parent.name for index in indexes)
        raise NotFoundError(
            f"no split {split!r} of {name}@{version}",
            where=str(folder.parent),
            hint=f"it has {', '.join(there)}" if there else "see: rewarddance dataset list",
        )
    return folder


def open_split(
    warehouse: Warehouse | Path | str,
    name: str,
    version: int,
    split: str,
    *,
    seed: int = 0,
    tasks: Sequence[str] = (),
    dimensions: Sequence[str] = (),
    check: Check = "full",
) -> ShardDataset:
    """The samples of one split of a dataset version; `warehouse` may be its folder, no connection is needed.

    Raises NotFoundError that names what there is. A split without samples has length 0.
    """
    folder = split_folder(warehouse, name, version, split)
    root = folder.parents[3]
    behind = remote_of(root)
    remote = (behind, folder.relative_to(root).as_posix()) if behind else None
    return ShardDataset(folder, seed, tasks, dimensions, check, remote)
