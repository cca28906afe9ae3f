"""The votes that a consensus is made of, read at one snapshot as columns.

A consensus over a million of them peaks below 1.5 GB (benchmarks/results/consensus.md). Ordinary votes come by
dimension. The answers to a repeated question are kept apart: they say how steady a rater is and do not count twice.
What is read has a digest, so that the same votes are merged once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotation.ballots import PER_VOTE, TIE, Ballots, Floats, Ints, Names, ballots_of, indexed
from warehouse import Warehouse
from warehouse.records import LABELS, Row

_CODES = " ".join(f"WHEN '{label}' THEN {index}" for index, label in enumerate(LABELS))
# Numbers for the label and the side of a vote `v`, as ballots.py has them.
LABEL_CODE = f"CASE v.label {_CODES} END"
SIDE_CODE = "CASE v.left_side WHEN 'a' THEN 1 WHEN 'b' THEN -1 ELSE 0 END"
# Filters: campaigns, sources (both together), dimensions (none = all).
_CHOSEN = """
NOT coalesce(v.deleted, false) AND v.candidate_id IS NULL
  AND (list_contains(?, t.campaign_id) OR list_contains(?, v.source)) AND (len(?) = 0 OR list_contains(?, v.dimension))
"""
_VOTES = f"""
SELECT v.pair_id, v.annotator_id, v.dimension, {LABEL_CODE} AS label, {SIDE_CODE} AS "left",
  epoch_us(v.updated_at) AS time_us, v.seconds,
  coalesce(t.gold, false) AS gold, r.candidate_a, r.candidate_b, t.repeat_of IS NOT NULL AS repeat,
  CASE f.label {_CODES} ELSE -1 END AS before
FROM votes v JOIN pairs r USING (pair_id) LEFT JOIN annotation_tasks t USING (task_id)
LEFT JOIN votes f ON f.task_id = t.repeat_of AND f.annotator_id = v.annotator_id AND f.dimension = v.dimension
  AND NOT coalesce(f.deleted, false)
WHERE {_CHOSEN} ORDER BY v.dimension, v.pair_id, v.annotator_id, v.vote_id
"""
_GOLD = f"""
SELECT g.pair_id, g.dimension, g.label FROM gold_items g WHERE g.pair_id IN (
    SELECT v.pair_id FROM votes v LEFT JOIN annotation_tasks t USING (task_id) WHERE {_CHOSEN}
) ORDER BY g.pair_id, g.dimension
"""
# Every column but the time: the same answers imported again are the same votes.
_TOLD = ("pair_id", "annotator_id", "dimension", "label", "left", "seconds", "gold", "repeat")


@dataclass(frozen=True)
class Choice:
    """Which votes: of campaigns and of sources, both together, in these dimensions (none = all)."""

    campaign_ids: tuple[str, ...] = ()
    vote_sources: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()

    def params(self) -> list[list[str]]:
        """For the queries of this module."""
        wanted = list(self.dimensions)
        return [list(self.campaign_ids), list(self.vote_sources), wanted, wanted]


@dataclass(frozen=True, eq=False)
class Election:
    """`parts` are the ordinary votes of each dimension, known questions among them; `votes` counts repeats too.

    `steady` is, by rater, the score of repeated answers (1 the same, 1/2 a tie against a side, 0) and their number;
    `last_us` the time of a rater's last vote in microseconds since 1970, UTC.
    """

    parts: Mapping[str, Ballots]
    steady: Mapping[str, tuple[float, int]]
    last_us: Mapping[str, int]
    votes: int
    pairs: int
    digest: str


def read_election(warehouse: Warehouse, choice: Choice) -> Election:
    """All votes of a choice; an election without votes has no parts."""
    table = warehouse.table(_VOTES, choice.params())
    raters, rater = indexed(table["annotator_id"].cast(pa.string()))
    last = np.zeros(len(raters), np.int64)
    np.maximum.at(last, rater, table["time_us"].to_numpy().astype(np.int64))
    return Election(
        parts=_parts(table),
        steady=_steadiness(table, raters, rater),
        last_us=dict(zip(raters, last.tolist(), strict=True)),
        votes=table.num_rows,
        pairs=pc.count_distinct(table["pair_id"]).as_py(),
        digest=_digest(table),
    )


def known_answers(warehouse: Warehouse, choice: Choice) -> list[Row]:
    """Rows of gold_items about pairs that were voted on."""
    return warehouse.rows(_GOLD, choice.params())


def _parts(table: pa.Table) -> dict[str, Ballots]:
    plain = table.filter(pc.invert(table["repeat"]))
    plain = plain.append_column("time_s", pc.divide(plain["time_us"].cast(pa.float64()), 1e6))
    dimensions = pc.unique(plain["dimension"]).to_pylist()
    return {name: ballots_of(plain.filter(pc.equal(plain["dimension"], name))) for name in sorted(dimensions)}


def _steadiness(table: pa.Table, raters: Names, rater: Ints) -> dict[str, tuple[float, int]]:
    """A question answered again counts as steady where the label is the same; a tie against a side counts half."""
    label, before = (table[name].to_numpy().astype(np.int64) for name in ("label", "before"))
    asked = table["repeat"].to_numpy().astype(np.bool_) & (before >= 0)
    ties = (label >= TIE).astype(int) + (before >= TIE)
    score: Floats = np.where(ties == 1, 0.5, (label == before) | (ties == 2)).astype(np.float64)
    total = np.bincount(rater[asked], weights=score[asked], minlength=len(raters))
    number = np.bincount(rater[asked], minlength=len(raters))
    return {name: (float(total[i]), int(number[i])) for i, name in enumerate(raters) if number[i]}


def _digest(table: pa.Table) -> str:
    """SHA-256 over the columns told, each value with its length; rows are sorted already."""
    found = hashlib.sha256()
    for name in _TOLD:
        column = table[name]
        if column.type in (pa.string(), pa.large_string()):
            names, place = indexed(column)
            found.update("\n".join([name, *names, ""]).encode())
            found.update(place.tobytes())
        else:
            found.update(f"{name}\n".encode())
            found.update(column.cast(pa.float64()).fill_null(-1.0).to_numpy().tobytes())
    return found.hexdigest()


def questions(parts: Mapping[str, Ballots]) -> Ballots:
    """All dimensions in one: each "pair" is a pair in one dimension, named `pair_id:dimension`; no candidates."""
    raters = tuple(sorted({name for part in parts.values() for name in part.raters}))
    place = {name: index for index, name in enumerate(raters)}
    moved, names = [], list[str]()
    for dimension, part in parts.items():
        at = np.array([place[name] for name in part.raters], np.int64)
        moved.append(replace(part, pair=part.pair + len(names), rater=at[part.rater]))
        names += [f"{pair}:{dimension}" for pair in part.pairs]
    columns = {name: np.concatenate([getattr(part, name) for part in moved]) for name in PER_VOTE}
    nobody = np.zeros(0, np.int64)
    return Ballots(tuple(names), raters, (), **columns, first=nobody, second=nobody)
