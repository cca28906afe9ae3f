"""Is a version what it was when it was made? Every hash, every shard, every sample.

Read are: each shard's bytes against its row, the index against shard and rows, each sample's bytes against the index,
its facts and media against the content hash of its row, and all of them against the version's hash. What an erasure
took away on purpose is counted as erased; it is not a problem.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from warehouse.catalog import Warehouse
from warehouse.datasets.recipe import SPLITS
from warehouse.datasets.select import content_sha256
from warehouse.datasets.versions import find_version
from warehouse.errors import CorruptDataError, NotFoundError
from warehouse.hashing import sha256_hex
from warehouse.records import Row
from warehouse.shards import ustar
from warehouse.shards.reader import read_index, split_folder
from warehouse.shards.writer import INDEX

_MOST = 1000
_BLOCK = 1 << 20
_ERASED = "SELECT detail_json FROM audit WHERE action = 'erase'"


@dataclass
class _Findings:
    """What was read and what was wrong; problems beyond the first thousand are only counted."""

    shards: int = 0
    samples: int = 0
    bytes: int = 0
    count: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)

    def problem(self, what: str, shard: str = "", key: str = "") -> None:
        self.count += 1
        if len(self.problems) < _MOST:
            self.problems.append({"shard": shard, "key": key, "problem": what})


def erased_samples(warehouse: Warehouse, name: str, version: int) -> int:
    """Samples of a version that erasures took away."""
    details = [json.loads(row["detail_json"]) for row in warehouse.rows(_ERASED)]
    return sum(detail["samples"].get(f"{name}@{version}", 0) for detail in details)


def verify(warehouse: Warehouse, reference: str) -> dict[str, Any]:
    """{name, version, state, ok, shards, samples, bytes, erased, problem_count, problems: [{shard, key, problem}]}.

    Raises NotFoundError for an unknown version; whatever is wrong with a known one is a problem, not an error.
    """
    row, found = find_version(warehouse, reference), _Findings()
    name, version = row["name"], row["version"]
    erased, contents = erased_samples(warehouse, name, version), dict[str, str]()
    for split in SPLITS:
        _verify_split(warehouse, row, split, found, contents)
    if not erased and _version_hash(warehouse, row, contents) != row["hash"] and not found.count:
        found.problem("the samples together have not the version's hash")
    return {
        "name": name,
        "version": version,
        "state": row["state"],
        "ok": not found.count,
        "shards": found.shards,
        "samples": found.samples,
        "bytes": found.bytes,
        "erased": erased,
        "problem_count": found.count,
        "problems": found.problems,
    }


def _version_hash(warehouse: Warehouse, row: Row, contents: dict[str, str]) -> str:
    """Over the samples' own hashes in order of pair and dimension, as the build took them."""
    digest = hashlib.sha256()
    query = "SELECT sample_key FROM samples WHERE name = ? AND version = ? ORDER BY pair_id, dimension"
    for key in warehouse.table(query, [row["name"], row["version"]])["sample_key"].to_pylist():
        digest.update(f"{key} {contents.get(key, '')}\n".encode())
    return digest.hexdigest()


def _verify_split(warehouse: Warehouse, row: Row, split: str, found: _Findings, contents: dict[str, str]) -> None:
    place = [row["name"], row["version"], split]
    shards = warehouse.rows("SELECT * FROM shards WHERE name = ? AND version = ? AND split = ? ORDER BY shard", place)
    samples = warehouse.rows(
        "SELECT sample_key, content_sha256, shard FROM samples WHERE name = ? AND version = ? AND split = ?", place
    )
    try:
        index = read_index(split_folder(warehouse, row["name"], row["version"], split)).to_pylist()
    except (NotFoundError, CorruptDataError) as error:
        if samples:
            found.problem(f"the index cannot be read: {error}", f"{split}/{INDEX}")
        return
    known = {sample["sample_key"]: sample for sample in samples}
    for key in sorted(known.keys() - {entry["key"] for entry in index}):
        found.problem("the index lacks the sample", known[key]["shard"], key)
    for shard in shards:
        entries = [entry for entry in index if f"{split}/{entry['shard']}" == shard["shard"]]
        _verify_shard(warehouse, shard, entries, known, found, contents)
    named = {shard["shard"] for shard in shards}
    for entry in index:
        if f"{split}/{entry['shard']}" not in named:
            found.problem("the index names a shard that is no row", f"{split}/{entry['shard']}", entry["key"])


def _open(warehouse: Warehouse, uri: str) -> BinaryIO:
    """The stored bytes of a shard: of an object a copy that is gone when it is closed, never one that lies here."""
    if warehouse.remote is None:
        return (warehouse.root / uri).open("rb")
    with tempfile.TemporaryDirectory() as folder:
        return warehouse.remote.fetch(uri, Path(folder) / "shard").open("rb")


def _verify_shard(
    warehouse: Warehouse,
    shard: Row,
    entries: list[Row],
    known: dict[str, Row],
    found: _Findings,
    contents: dict[str, str],
) -> None:
    label, digest = shard["shard"], hashlib.sha256()
    try:
        opened = _open(warehouse, shard["uri"])
    except (FileNotFoundError, NotFoundError):
        found.problem("the shard is gone", label)
        return
    with opened as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            found.bytes += len(block)
        found.shards += 1
        if digest.hexdigest() != shard["sha256"]:
            size = file.tell()
            found.problem(f"the shard has other bytes: {size} of {shard['size_bytes']}, sha256 differs", label)
        if len(entries) != shard["samples"]:
            found.problem(f"the index has {len(entries)} samples of {shard['samples']}", label)
        for entry in entries:
            file.seek(entry["offset"])
            blob = file.read(entry["size"])
            for problem in _sample_problems(entry, blob, shard, known.get(entry["key"]), contents):
                found.problem(problem, label, entry["key"])
            found.samples += 1


def _sample_problems(entry: Row, blob: bytes, shard: Row, row: Row | None, contents: dict[str, str]) -> Iterator[str]:
    if row is None or row["shard"] != shard["shard"]:
        yield "the index names a sample that is no row of this shard"
        return
    if sha256_hex(blob) != entry["sha256"]:
        yield f"the sample has other bytes: {len(blob)} of {entry['size']}, sha256 differs"
        return
    try:
        contents[entry["key"]] = _content(entry["key"], blob, shard["split"])
    except (CorruptDataError, ValueError, KeyError) as error:
        yield f"the sample cannot be read: {error}"
        return
    if contents[entry["key"]] != row["content_sha256"]:
        yield "the sample says something else than its row: the content hash differs"


def _content(key: str, blob: bytes, split: str) -> str:
    """The content hash of a sample from its bytes; media stand under the hash of what is there."""
    media, rest = dict[str, str](), dict[str, bytes]()
    for name, data in ustar.members(blob):
        owner, _, suffix = name.partition(".")
        if owner != key:
            raise CorruptDataError(f"a member is called {name}")
        if suffix == "json" or suffix.endswith(".txt"):
            rest[suffix] = data
        else:
            media[suffix] = sha256_hex(data)
    texts = [rest[f"{name}.txt"].decode() for name in ("prompt", "instruction", "rationale")]
    return content_sha256(split, texts, json.loads(rest["json"]), media)
