"""A version's samples as plain rows, each with the votes behind it; every sample read is verified.

Nothing that names a rater in the warehouse leaves it: no annotator, vote or rationale id, only the export's pseudonyms.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from warehouse.catalog import Warehouse
from warehouse.datasets.versions import counted_sql, votes_at
from warehouse.media.probe import probe
from warehouse.pseudonyms import Pseudonyms
from warehouse.records import Row
from warehouse.shards import Sample, ShardDataset
from warehouse.views import using

_PAGE = 500
_INTERNAL = ("key", "schema", "rationale_id", "preference_id")
_VOTES = """
SELECT sample_key, annotator_id, annotator_kind, label, seconds, guideline_version FROM sample_votes
WHERE name = $1 AND version = $2 AND sample_key IN (SELECT unnest($3)) AND {counted} ORDER BY sample_key, vote_id
"""
_AUTHORS = "SELECT rationale_id, author_id FROM rationales WHERE rationale_id IN (SELECT unnest(?))"


@dataclass(frozen=True)
class Media:
    """Bytes of one picture or clip; `path` is its file name in the export: <sha256>.<extension>."""

    path: str
    data: bytes

    @classmethod
    def of(cls, data: bytes) -> Media:
        """Named by what the bytes are, not by what they were called."""
        info = probe(data)
        return cls(f"{info.media_id}.{info.extension}", data)


@dataclass(frozen=True)
class Item:
    """One sample: `row` is ready for JSON and says everything but the media."""

    row: dict[str, Any]
    a: Media
    b: Media
    references: tuple[Media, ...]
    condition: Media | None

    def media(self) -> Iterator[Media]:
        """All media, a and b first."""
        yield from (self.a, self.b, *self.references)
        if self.condition is not None:
            yield self.condition


def items(warehouse: Warehouse, version: Row, samples: ShardDataset, pseudonyms: Pseudonyms) -> Iterator[Item]:
    """Every sample of one split in the order of the shards; `version` is the dataset_versions row."""
    asked = _VOTES.format(counted=counted_sql(warehouse, version))
    query, place = using(asked, votes_at(warehouse, version)), [version["name"], version["version"]]
    for start in range(0, len(samples), _PAGE):
        found = samples.__getitems__(range(start, min(start + _PAGE, len(samples))))
        keys = [sample.key for sample in found]
        votes = _votes(warehouse.rows(query, [*place, keys]), pseudonyms)
        authors = warehouse.rows(_AUTHORS, [[sample.facts["rationale_id"] for sample in found]])
        names = {row["rationale_id"]: pseudonyms.of(row["author_id"]) for row in authors if row["author_id"]}
        for sample in found:
            yield _item(sample, votes.get(sample.key, []), names.get(sample.facts["rationale_id"], ""))


def _votes(rows: list[Row], pseudonyms: Pseudonyms) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        rater = {"rater": pseudonyms.of(row.pop("annotator_id")), "kind": row.pop("annotator_kind") or ""}
        found[row.pop("sample_key")].append(rater | row)
    return found


def _item(sample: Sample, votes: list[Row], author: str) -> Item:
    facts = {name: value for name, value in sample.facts.items() if name not in _INTERNAL}
    texts = {"prompt": sample.prompt, "instruction": sample.instruction, "rationale": sample.rationale}
    return Item(
        {"key": sample.key, **texts, "rationale_author": author, **facts, "votes": votes},
        Media.of(sample.a),
        Media.of(sample.b),
        tuple(Media.of(data) for data in sample.references),
        Media.of(sample.condition) if sample.condition is not None else None,
    )
