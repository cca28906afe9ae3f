"""Preferences -> samples: the selection walked in order, once for its hash and counts, once with everything it says.

The content hash is over canonical facts and the ids of media, never over the bytes of a file. The database takes it
when a version is made (selection.py), and `content_sha256` takes the same one from a sample that was read.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.datasets.query import Snapshot
from warehouse.datasets.selection import MERGED_BY, facts_sql, selection_sql
from warehouse.hashing import netstrings

_PAGE = 2_000
_OUTLINE_PAGE = 100_000


@dataclass(frozen=True)
class MediaMember:
    """A media file of a sample: role a, b, cond or ref<i>; `uri` relative to the warehouse."""

    role: str
    media_id: str
    uri: str

    @property
    def suffix(self) -> str:
        """`a.png`."""
        return f"{self.role}{PurePosixPath(self.uri).suffix}"


@dataclass(frozen=True)
class Chosen:
    """A sample that goes into the version; `content` is its content hash."""

    key: str
    split: str
    canonical: str
    prompt: str
    instruction: str
    rationale: str
    facts: dict[str, Any]
    media: tuple[MediaMember, ...]
    reference_ids: tuple[str, ...]
    content: str


def content_sha256(split: str, texts: Sequence[str], facts: Mapping[str, Any], media: Mapping[str, str]) -> str:
    """64 hex digits over split, prompt, instruction, rationale, facts, and {suffix: media id}.

    The run that merged the votes is left out, so a sample that another consensus run left as it was counts as
    unchanged when versions are compared.
    """
    kept = [(name, _said(value)) for name, value in sorted(facts.items()) if name not in MERGED_BY]
    parts = [split, *texts, *(part for pair in [*kept, *sorted(media.items())] for part in pair)]
    return hashlib.sha256(netstrings(parts)).hexdigest()


def _said(value: Any) -> str:
    """A fact as text; floats with the 17 digits that tell any two apart."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.17g}" if isinstance(value, float) else str(value)


class ContentHash:
    """The hash of a version: over the hashes of its samples in order of pair and dimension."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, keys: Sequence[str], contents: Sequence[str]) -> None:
        """Take in the next samples."""
        lines = (f"{key} {content}\n" for key, content in zip(keys, contents, strict=True))
        self._digest.update("".join(lines).encode())

    def hexdigest(self) -> str:
        """64 hex digits."""
        return self._digest.hexdigest()


@dataclass(frozen=True)
class Outline:
    """A selection without its media: its hash and what it counts."""

    hash: str
    splits: dict[str, int]
    left_out: dict[str, int]


def outline(snapshot: Snapshot) -> Outline:
    """Walk the selection once, reading rows only."""
    digest, splits, left_out = ContentHash(), Counter[str](), Counter[str]()
    sql = f"SELECT sample_key, content, split, reason FROM ({selection_sql(snapshot)}) ORDER BY pair_id, dimension"
    for page in snapshot.pages(sql, _OUTLINE_PAGE):
        stays = pc.equal(page["reason"], "")
        kept = page.filter(stays)
        digest.add(kept["sample_key"].to_pylist(), kept["content"].to_pylist())
        splits += _counted(kept["split"])
        left_out += _counted(page.filter(pc.invert(stays))["reason"])
    return Outline(digest.hexdigest(), dict(splits), dict(sorted(left_out.items())))


def _counted(column: pa.Array) -> Counter[str]:
    return Counter({row["values"]: row["counts"] for row in pc.value_counts(column).to_pylist()})


def samples(snapshot: Snapshot) -> Iterator[Chosen]:
    """The samples of the selection in order of pair and dimension."""
    names = list(facts_sql(snapshot))
    sql = f"SELECT * FROM ({selection_sql(snapshot)}) WHERE reason = '' ORDER BY pair_id, dimension"
    for page in snapshot.pages(sql, _PAGE):
        for row in page.to_pylist():
            yield _chosen(row, names)


def _chosen(row: Mapping[str, Any], names: Sequence[str]) -> Chosen:
    media = [MediaMember("a", row["media_a"], row["uri_a"]), MediaMember("b", row["media_b"], row["uri_b"])]
    media += [MediaMember(f"ref{i}", ref["media_id"], ref["uri"]) for i, ref in enumerate(row["reference_list"])]
    if row["condition_media_id"]:
        media.append(MediaMember("cond", row["condition_media_id"], row["uri_cond"]))
    return Chosen(
        key=row["key"],
        split=row["split"],
        canonical=row["canonical"],
        prompt=row["prompt"],
        instruction=row["instruction"],
        rationale=row["rationale_text"],
        facts={name: row[name] for name in names},
        media=tuple(media),
        reference_ids=tuple(ref["candidate_id"] for ref in row["reference_list"]),
        content=row["content"],
    )
