"""Lineage of any id as a tree: where it came from, and what was made of it.

The links between tables are listed once, in LINKS; both directions follow from them. A rater's tree reaches the
models that learned from the rater's votes; a reward's tree reaches the raters behind it. Left out on purpose: drawing
the tree, which is the command line's and the report's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from warehouse.catalog import Warehouse
from warehouse.errors import InvalidInputError, NotFoundError

ID_COLUMNS: dict[str, str] = {
    "reward": "rewards.reward_id",
    "model": "models.model_id",
    "sample": "samples.sample_key",
    "preference": "preferences.preference_id",
    "vote": "votes.vote_id",
    "annotator": "annotators.annotator_id",
    "pair": "pairs.pair_id",
    "candidate": "candidates.candidate_id",
    "prompt": "prompts.prompt_id",
    "generator": "generators.generator_id",
    "media": "media.media_id",
}
# (made, column of made, source, column of source): a row of `made` came from the rows of `source` that match.
LINKS: tuple[tuple[str, str, str, str], ...] = (
    ("reward", "model_id", "model", "model_id"),
    ("reward", "candidate_id", "candidate", "candidate_id"),
    ("reward", "reference_id", "candidate", "candidate_id"),
    ("model", "parent_id", "model", "model_id"),
    ("model", "reward_model_id", "model", "model_id"),
    ("model", "dataset_name, dataset_version", "sample", "name, version"),
    ("sample", "preference_id", "preference", "preference_id"),
    ("preference", "pair_id, dimension", "vote", "pair_id, dimension"),
    ("vote", "annotator_id", "annotator", "annotator_id"),
    ("vote", "pair_id", "pair", "pair_id"),
    ("pair", "candidate_a", "candidate", "candidate_id"),
    ("pair", "candidate_b", "candidate", "candidate_id"),
    ("candidate", "prompt_id", "prompt", "prompt_id"),
    ("candidate", "generator_id", "generator", "generator_id"),
    ("candidate", "media_id", "media", "media_id"),
)


@dataclass(frozen=True)
class Node:
    """One record; `children` lie in the direction asked for, `more` counts those left out by the limit."""

    kind: str
    id: str
    facts: dict[str, Any]
    children: list[Node] = field(default_factory=list)
    more: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The tree as plain dictionaries, ready for JSON."""
        facts = {name: str(value) for name, value in self.facts.items() if value is not None}
        children = [child.as_dict() for child in self.children]
        return {"kind": self.kind, "id": self.id, "facts": facts, "children": children, "more": self.more}


def _place(kind: str) -> tuple[str, str]:
    table, _, column = ID_COLUMNS[kind].partition(".")
    return table, column


def find(warehouse: Warehouse, record_id: str) -> tuple[str, list[dict[str, Any]]]:
    """Kind and rows of an id, a sample key being in as many rows as versions hold it; raises NotFoundError."""
    for kind in ID_COLUMNS:
        table, column = _place(kind)
        rows = warehouse.rows(f"SELECT * FROM {table} WHERE {column} = ?", [record_id])
        if rows:
            return kind, rows
    raise NotFoundError(f"no record has the id {record_id!r}", where=warehouse.url)


def _linked(
    warehouse: Warehouse, row: dict[str, Any], have: str, kind: str, want: str, limit: int
) -> tuple[list[dict[str, Any]], int]:
    """Rows of `kind` whose `want` columns equal the row's `have` columns, at most `limit`, and how many there are."""
    values = [row[name] for name in have.split(", ")]
    if any(value is None for value in values):
        return [], 0
    table, column = _place(kind)
    condition = " AND ".join(f"{name} = ?" for name in want.split(", "))
    total = warehouse.rows(f"SELECT count(DISTINCT {column}) AS n FROM {table} WHERE {condition}", values)[0]["n"]
    query = f"SELECT * FROM {table} WHERE {condition} QUALIFY row_number() OVER (PARTITION BY {column}) = 1"
    return warehouse.rows(f"{query} ORDER BY {column} LIMIT {limit}", values), int(total)


def _grow(
    warehouse: Warehouse, kind: str, rows: list[dict[str, Any]], up: bool, limit: int, seen: frozenset[str]
) -> Node:
    _, column = _place(kind)
    record_id = str(rows[0][column])
    children: dict[str, Node] = {}
    more = 0
    for made, made_columns, source, source_columns in LINKS:
        if kind != (made if up else source):
            continue
        have, want = (made_columns, source_columns) if up else (source_columns, made_columns)
        other = source if up else made
        for row in rows:
            linked, total = _linked(warehouse, row, have, other, want, limit)
            more += total - len(linked)
            for found in linked:
                found_id = str(found[_place(other)[1]])
                # A model may name itself through its parents; a branch never meets the same record twice.
                if found_id not in seen and found_id not in children:
                    children[found_id] = _grow(warehouse, other, [found], up, limit, seen | {found_id})
    return Node(kind, record_id, rows[0], list(children.values()), more)


def sources(warehouse: Warehouse, record_id: str, limit: int = 5) -> Node:
    """What a record came from, down to annotators, prompts and media; at most `limit` rows a link.

    Raises NotFoundError for an unknown id, InvalidInputError for a limit below one.
    """
    return _tree(warehouse, record_id, True, limit)


def uses(warehouse: Warehouse, record_id: str, limit: int = 5) -> Node:
    """What was made of a record, up to rewards and models; limits and errors as in `sources`."""
    return _tree(warehouse, record_id, False, limit)


def _tree(warehouse: Warehouse, record_id: str, up: bool, limit: int) -> Node:
    if limit < 1:
        raise InvalidInputError(f"limit must be at least 1, got {limit}")
    kind, rows = find(warehouse, record_id)
    return _grow(warehouse, kind, rows, up, limit, frozenset({record_id}))
