"""Lineage of any id as a tree: where it came from, and what was made of it.

The links between tables are listed once, in LINKS; both directions follow from them. A rater's tree reaches the
models that learned from the rater's votes; a reward's tree reaches the raters behind it. Records are looked up level by
level, one query a link, so a tree costs some twenty queries however wide it is. Left out on purpose: drawing the tree,
which is the command line's and the report's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from warehouse.catalog import Warehouse
from warehouse.errors import InvalidInputError, NotFoundError
from warehouse.hashing import literal
from warehouse.records import Row

# kind: (table, SQL of its id)
KINDS: dict[str, tuple[str, str]] = {
    "reward": ("rewards", "reward_id"),
    "reference_rank": ("reference_ranks", "rank_id"),
    "evaluation": ("evaluations", "evaluation_id"),
    "model": ("models", "model_id"),
    "dataset": ("dataset_versions", "name || '@' || version"),
    "recipe": ("recipes", "recipe_id"),
    "shard": ("shards", "uri"),
    "sample": ("samples", "sample_key"),
    "preference": ("preferences", "preference_id"),
    "consensus": ("consensus_runs", "consensus_id"),
    "vote": ("votes", "vote_id"),
    "rationale": ("rationales", "rationale_id"),
    "instruction": ("instructions", "instruction_id"),
    "task": ("annotation_tasks", "task_id"),
    "campaign": ("campaigns", "campaign_id"),
    "annotator": ("annotators", "annotator_id"),
    "pair": ("pairs", "pair_id"),
    "candidate": ("candidates", "candidate_id"),
    "prompt": ("prompts", "prompt_id"),
    "generator": ("generators", "generator_id"),
    "media": ("media", "media_id"),
}
# (made, columns of made, source, columns of source): a row of `made` came from the rows of `source` that match.
# A column that ends in _ids_json holds a list of ids.
LINKS: tuple[tuple[str, str, str, str], ...] = (
    ("reward", "model_id", "model", "model_id"),
    ("reward", "candidate_id", "candidate", "candidate_id"),
    ("reward", "reference_id", "candidate", "candidate_id"),
    ("reference_rank", "model_id", "model", "model_id"),
    ("reference_rank", "candidate_id", "candidate", "candidate_id"),
    ("evaluation", "model_id", "model", "model_id"),
    ("model", "parent_id", "model", "model_id"),
    ("model", "reward_model_id", "model", "model_id"),
    ("model", "dataset_name, dataset_version", "dataset", "name, version"),
    ("dataset", "recipe_id", "recipe", "recipe_id"),
    ("dataset", "name, version", "shard", "name, version"),
    ("shard", "name, version, shard", "sample", "name, version, shard"),
    ("sample", "preference_id", "preference", "preference_id"),
    ("sample", "rationale_id", "rationale", "rationale_id"),
    ("sample", "instruction_id", "instruction", "instruction_id"),
    ("sample", "reference_ids_json", "candidate", "candidate_id"),
    ("preference", "consensus_id", "consensus", "consensus_id"),
    ("preference", "preference_id", "vote", "vote_id"),
    ("preference", "pair_id", "pair", "pair_id"),
    ("vote", "annotator_id", "annotator", "annotator_id"),
    ("vote", "task_id", "task", "task_id"),
    ("vote", "rationale_id", "rationale", "rationale_id"),
    ("vote", "pair_id", "pair", "pair_id"),
    ("rationale", "author_id", "annotator", "annotator_id"),
    ("rationale", "pair_id", "pair", "pair_id"),
    ("task", "campaign_id", "campaign", "campaign_id"),
    ("task", "pair_id", "pair", "pair_id"),
    ("pair", "candidate_a", "candidate", "candidate_id"),
    ("pair", "candidate_b", "candidate", "candidate_id"),
    ("candidate", "prompt_id", "prompt", "prompt_id"),
    ("candidate", "generator_id", "generator", "generator_id"),
    ("candidate", "media_id", "media", "media_id"),
    ("prompt", "condition_media_id", "media", "media_id"),
    ("generator", "parent_id", "generator", "generator_id"),
)
# The votes that a consensus read: those of its campaigns and sources, without the raters that it left out. Other
# campaigns may have asked about the same pairs. Each side is cut down to the keys first: it may have millions of rows.
_READ_VOTES = """(
WITH p AS MATERIALIZED (SELECT * FROM preferences WHERE pair_id IN ({pairs}){of_preferences}),
v AS MATERIALIZED (SELECT * FROM votes WHERE pair_id IN ({pairs}){of_votes})
SELECT {shown} FROM p JOIN consensus_runs c USING (consensus_id)
JOIN v USING (pair_id, dimension) LEFT JOIN annotation_tasks a ON a.task_id = v.task_id
WHERE (contains(c.params_json, '"' || a.campaign_id || '"') OR contains(c.params_json, '"' || v.source || '"'))
AND json_extract_string(c.raters_json, '$."' || v.annotator_id || '".excluded') = 'false')"""
# (made, source, key asked with): (table asked, columns shown). The other side's rows come with the key that each
# belongs to as `_by`.
_RELATIONS = {
    ("preference", "vote", "preference_id"): ("preferences", "v.*, p.preference_id AS _by"),
    ("preference", "vote", "vote_id"): ("votes", "p.*, v.vote_id AS _by"),
}
_LONGEST_FACT = 300
# So many ids stand in the query as they are: the scan then passes over all other rows' columns.
_FEW = 500
_Key = tuple[str, str]
_Values = tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """One record; `children` lie in the direction asked for, `more` counts those left out by the limit.

    A record that the tree has shown before is `repeated` and has no children there.
    """

    kind: str
    id: str
    facts: dict[str, Any]
    children: list[Node] = field(default_factory=list)
    more: int = 0
    repeated: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The tree as plain dictionaries, ready for JSON; facts as texts, long ones cut."""
        facts = {name: str(value)[:_LONGEST_FACT] for name, value in self.facts.items() if value is not None}
        children = [child.as_dict() for child in self.children]
        about = {"kind": self.kind, "id": self.id, "facts": facts, "children": children, "more": self.more}
        return about | {"repeated": self.repeated}


@dataclass
class _Record:
    """A record while the graph grows: its rows (a sample has one in each version), and what it leads to."""

    rows: list[Row]
    children: dict[_Key, None] = field(default_factory=dict)
    more: int = 0


def find(warehouse: Warehouse, record_id: str) -> tuple[str, list[Row]]:
    """Kind and rows of an id, a sample key being in as many rows as versions hold it; raises NotFoundError."""
    # One table after the other: those of millions of rows come last, and most ids are found before.
    for kind, (table, sql) in KINDS.items():
        rows = warehouse.rows(f"SELECT *, {sql} AS _id FROM {table} WHERE {sql} = {literal(record_id)}")
        if rows:
            return kind, rows
    raise NotFoundError(
        f"no record has the id {record_id!r}",
        where=warehouse.url,
        hint="any id of a table, a shard's uri or NAME@V; `rewarddance sql` finds them",
    )


def _values(row: Row, columns: str) -> list[_Values]:
    """What a row says in these columns; nothing where one of them is empty."""
    if columns.endswith("_ids_json"):
        return [(str(value),) for value in json.loads(row[columns] or "[]")]
    values = [row[name] for name in columns.split(", ")]
    return [] if None in values else [tuple(str(value) for value in values)]


def _linked(
    warehouse: Warehouse,
    wanted: Iterable[_Values],
    kind: str,
    columns: str,
    limit: int,
    relation: str = "",
) -> dict[_Values, tuple[list[Row], int]]:
    """Rows of `kind` by the values of `columns`, at most `limit` records each, and how many records there are.

    With a `relation`, the rows that it pairs with the values.
    """
    table, sql = KINDS[kind]
    listed = list(wanted)
    keys = [f"_k{i}" for i in range(len(listed[0]))]
    group = ", ".join(f"k.{key}" for key in keys)
    shown = "t.* EXCLUDE (_by)" if relation else "t.*"
    rows = warehouse.rows(
        f"SELECT {shown}, {sql} AS _id, {group}, count(DISTINCT {sql}) OVER (PARTITION BY {group}) AS _n "
        f"FROM {relation or table} t JOIN (VALUES {', '.join(map(_listed, listed))}) k({', '.join(keys)}) "
        f"ON {_match(listed, '_by' if relation else columns)} "
        f"QUALIFY dense_rank() OVER (PARTITION BY {group} ORDER BY {sql}) <= {limit} ORDER BY _id"
    )
    found: dict[_Values, tuple[list[Row], int]] = {}
    for row in rows:
        values = tuple(row.pop(key) for key in keys)
        total = int(row.pop("_n"))
        found.setdefault(values, ([], total))[0].append(row)
    return found


def _listed(values: Iterable[str]) -> str:
    return f"({', '.join(map(literal, values))})"


def _match(listed: Sequence[_Values], columns: str) -> str:
    """SQL that is true where a row of `t` has the values of a row of `k` in these columns."""
    if columns.endswith("_ids_json"):
        return f"contains(t.{columns}, k._k0)"
    names = columns.split(", ")
    match = " AND ".join(f"t.{name}::VARCHAR = k._k{i}" for i, name in enumerate(names))
    if len(names) > 1 or columns == "_by" or len(listed) > _FEW:
        return match
    return f"{match} AND t.{columns} IN {_listed(value for (value,) in listed)}"


def _related(warehouse: Warehouse, relation: tuple[str, str], key: str, ids: Sequence[str]) -> str:
    """SQL of the rows that votes and preferences with these ids are joined to."""
    asked, shown = relation
    wanted = f"{key} IN {_listed(ids)}"
    pairs = warehouse.rows(f"SELECT DISTINCT pair_id FROM {asked} WHERE {wanted} AND pair_id IS NOT NULL")
    return _READ_VOTES.format(
        shown=shown,
        pairs=", ".join(literal(row["pair_id"]) for row in pairs) or "NULL",
        of_preferences=f" AND {wanted}" if asked == "preferences" else "",
        of_votes=f" AND {wanted}" if asked == "votes" else "",
    )


class _Graph:
    """Everything that one record leads to in one direction."""

    def __init__(self, warehouse: Warehouse, kind: str, rows: list[Row], up: bool, limit: int) -> None:
        self.warehouse, self.up, self.limit = warehouse, up, limit
        self.root = (kind, str(rows[0]["_id"]))
        self.records: dict[_Key, _Record] = {self.root: _Record(rows)}
        frontier = {self.root}
        while frontier:
            frontier = self._expand(frontier)

    def _expand(self, frontier: set[_Key]) -> set[_Key]:
        met: set[_Key] = set()
        for made, made_columns, source, source_columns in LINKS:
            here, there = (made, source) if self.up else (source, made)
            have, want = (made_columns, source_columns) if self.up else (source_columns, made_columns)
            owners: dict[_Values, list[_Key]] = defaultdict(list)
            for key in sorted(key for key in frontier if key[0] == here):
                for values in {value: None for row in self.records[key].rows for value in _values(row, have)}:
                    owners[values].append(key)
            if owners:
                pairing = _RELATIONS.get((made, source, have))
                ids = [value[0] for value in owners]
                relation = _related(self.warehouse, pairing, have, ids) if pairing else ""
                found = _linked(self.warehouse, list(owners), there, want, self.limit, relation)
                met |= self._join(owners, there, found)
        return met

    def _join(
        self, owners: dict[_Values, list[_Key]], kind: str, found: dict[_Values, tuple[list[Row], int]]
    ) -> set[_Key]:
        new: set[_Key] = set()
        for values, (rows, total) in found.items():
            by_id: dict[_Key, list[Row]] = defaultdict(list)
            for row in rows:
                by_id[kind, str(row["_id"])].append(row)
            for key, its_rows in by_id.items():
                if key not in self.records:
                    self.records[key] = _Record(its_rows)
                    new.add(key)
            for owner in owners[values]:
                self.records[owner].children.update(dict.fromkeys(by_id))
                self.records[owner].more += total - len(by_id)
        return new

    def tree(self) -> Node:
        """The graph as a tree in which each record has its children once."""
        return self._node(self.root, set(), ())

    def _node(self, key: _Key, shown: set[_Key], path: tuple[_Key, ...]) -> Node:
        record = self.records[key]
        facts = {name: value for name, value in record.rows[0].items() if name != "_id"}
        if key in shown:
            return Node(*key, facts, repeated=True)
        shown.add(key)
        children = [self._node(child, shown, (*path, key)) for child in record.children if child not in (*path, key)]
        return Node(*key, facts, children, record.more)


def sources(warehouse: Warehouse, record_id: str, limit: int = 5) -> Node:
    """What a record came from, down to annotators, prompts and media; at most `limit` records a link.

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
    return _Graph(warehouse, kind, rows, up, limit).tree()
