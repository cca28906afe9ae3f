"""The votes that a consensus is made of, read at one snapshot as columns.

A consensus over ten million of them peaks at 4 GiB (benchmarks/results/warehouse.md). Ordinary votes come by dimension.
The answers to a repeated question are kept apart: they say how steady a rater is and do not count twice.
What is read has a digest, so that the same votes are merged once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotation.ballots import PER_VOTE, TIE, Ballots, Flags, Floats, Ints, Names
from warehouse import Warehouse
from warehouse.hashing import literal
from warehouse.records import LABELS, Row

_CODES = " ".join(f"WHEN '{label}' THEN {index}" for index, label in enumerate(LABELS))
# Numbers for the label and the side of a vote `v`, as ballots.py has them.
LABEL_CODE = f"CASE v.label {_CODES} END"
SIDE_CODE = "CASE v.left_side WHEN 'a' THEN 1 WHEN 'b' THEN -1 ELSE 0 END"
_GIVEN = f"""
SELECT v.pair_id, v.annotator_id, v.dimension, {LABEL_CODE}::TINYINT AS label, {SIDE_CODE}::TINYINT AS "left",
  epoch_us(v.updated_at) AS time_us, v.seconds, coalesce(t.gold, false) AS gold, t.repeat_of IS NOT NULL AS repeat,
  coalesce(f.said, -1)::TINYINT AS before
FROM votes v LEFT JOIN annotation_tasks t USING (task_id) LEFT JOIN (
    SELECT k.task_id, v.annotator_id, v.dimension, {LABEL_CODE} AS said
    FROM annotation_tasks k JOIN votes v ON v.task_id = k.repeat_of WHERE NOT coalesce(v.deleted, false)
) f ON f.task_id = v.task_id AND f.annotator_id = v.annotator_id AND f.dimension = v.dimension
WHERE {{chosen}}
"""
# Numbers stand for names before anything is sorted: ten million names of 32 letters, four a vote, were most of 8 GiB.
_MET = """
SELECT pair_id, candidate_a, candidate_b, (row_number() OVER (ORDER BY pair_id) - 1)::INTEGER AS pair
FROM pairs SEMI JOIN given USING (pair_id)
"""
_NAMED = """
SELECT {name}, (row_number() OVER (ORDER BY {name}) - 1)::INTEGER AS {number}
FROM (SELECT DISTINCT {name} FROM given)
"""
# Votes that one rater cast twice come in the order of what they say, so that no order of rows is left to chance.
_SORTED = """
SELECT dimension_no, pair, rater, label, "left", time_us, seconds, gold, repeat, before
FROM given JOIN met USING (pair_id) JOIN raters USING (annotator_id) JOIN dimensions_met USING (dimension) ORDER BY ALL
"""
_GOLD = """
SELECT g.pair_id, g.dimension, g.label FROM gold_items g WHERE g.pair_id IN (
    SELECT v.pair_id FROM votes v LEFT JOIN annotation_tasks t USING (task_id) WHERE {chosen}
) ORDER BY g.pair_id, g.dimension
"""


@dataclass(frozen=True)
class Choice:
    """Which votes: of campaigns and of sources, both together, in these dimensions (none = all)."""

    campaign_ids: tuple[str, ...] = ()
    vote_sources: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()

    def sql(self) -> str:
        """True for a vote `v` of the choice, with its task `t`. Literals, which a scan compares as it reads."""
        wanted = {"t.campaign_id": self.campaign_ids, "v.source": self.vote_sources}
        tests = [f"{column} IN ({_listed(names)})" for column, names in wanted.items() if names]
        dimension = f" AND v.dimension IN ({_listed(self.dimensions)})" if self.dimensions else ""
        origin = " OR ".join(tests) or "false"
        return f"NOT coalesce(v.deleted, false) AND v.candidate_id IS NULL AND ({origin}){dimension}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(literal, names))


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


@dataclass(frozen=True, eq=False)
class _Cast:
    """All votes of a choice, repeats too: `whole` over all dimensions, and of each vote [V] what Ballots leave out."""

    whole: Ballots
    dimensions: Names
    dimension: Ints
    time_us: Ints
    repeat: Flags
    before: Ints


def _cast(warehouse: Warehouse, choice: Choice) -> _Cast:
    with warehouse.scratch() as scratch:
        scratch.table("given", _GIVEN.format(chosen=choice.sql()))
        scratch.table("met", _MET)
        scratch.table("raters", _NAMED.format(name="annotator_id", number="rater"))
        scratch.table("dimensions_met", _NAMED.format(name="dimension", number="dimension_no"))
        table = warehouse.table(_SORTED)
        pairs = warehouse.table("SELECT pair_id, candidate_a, candidate_b FROM met ORDER BY pair").combine_chunks()
        raters = warehouse.table("SELECT annotator_id FROM raters ORDER BY rater")["annotator_id"].to_pylist()
        names = warehouse.table("SELECT dimension FROM dimensions_met ORDER BY dimension_no")["dimension"].to_pylist()
    number = {name: table[name].to_numpy().astype(np.int64) for name in
              ("pair", "rater", "label", "left", "dimension_no", "time_us", "before")}
    flag = {name: table[name].to_numpy().astype(np.bool_) for name in ("gold", "repeat")}
    whole = Ballots(
        pairs=_one(pairs["pair_id"]),
        raters=tuple(raters),
        sides=(_one(pairs["candidate_a"]), _one(pairs["candidate_b"])),
        pair=number["pair"],
        rater=number["rater"],
        label=number["label"],
        left=number["left"],
        time_s=number["time_us"] / 1e6,
        seconds=table["seconds"].cast(pa.float64()).fill_null(np.nan).to_numpy(),
        gold=flag["gold"],
    )
    return _Cast(whole, tuple(names), number["dimension_no"], number["time_us"], flag["repeat"], number["before"])


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks else pa.array([], pa.string())


def read_election(warehouse: Warehouse, choice: Choice) -> Election:
    """All votes of a choice; an election without votes has no parts."""
    cast = _cast(warehouse, choice)
    whole = cast.whole
    last = np.zeros(len(whole.raters), np.int64)
    np.maximum.at(last, whole.rater, cast.time_us)
    return Election(
        parts=_parts(cast),
        steady=_steadiness(cast),
        last_us=dict(zip(whole.raters, last.tolist(), strict=True)),
        votes=len(whole),
        pairs=len(whole.pairs),
        digest=_digest(cast),
    )


def known_answers(warehouse: Warehouse, choice: Choice) -> list[Row]:
    """Rows of gold_items about pairs that were voted on."""
    return warehouse.rows(_GOLD.format(chosen=choice.sql()))


def _parts(cast: _Cast) -> dict[str, Ballots]:
    plain = {name: ~cast.repeat & (cast.dimension == number) for number, name in enumerate(cast.dimensions)}
    return {name: cast.whole.only(mask) for name, mask in plain.items() if mask.any()}


def _steadiness(cast: _Cast) -> dict[str, tuple[float, int]]:
    """A question answered again counts as steady where the label is the same; a tie against a side counts half."""
    raters, asked = cast.whole.raters, cast.repeat & (cast.before >= 0)
    rater, label, before = cast.whole.rater[asked], cast.whole.label[asked], cast.before[asked]
    ties = (label >= TIE).astype(int) + (before >= TIE)
    score: Floats = np.where(ties == 1, 0.5, (label == before) | (ties == 2)).astype(np.float64)
    total = np.bincount(rater, weights=score, minlength=len(raters))
    number = np.bincount(rater, minlength=len(raters))
    return {name: (float(total[i]), int(number[i])) for i, name in enumerate(raters) if number[i]}


def _digest(cast: _Cast) -> str:
    """SHA-256 over what was told, but for the time: the same answers imported again are the same votes."""
    whole, found = cast.whole, hashlib.sha256()
    for name, names, place in (
        ("pair_id", whole.pairs.to_pylist(), whole.pair),
        ("annotator_id", whole.raters, whole.rater),
        ("dimension", cast.dimensions, cast.dimension),
    ):
        found.update("\n".join([name, *names, ""]).encode())
        found.update(place.data)
    told = {"label": whole.label, "left": whole.left, "seconds": np.nan_to_num(whole.seconds, nan=-1.0),
            "gold": whole.gold, "repeat": cast.repeat}
    for name, column in told.items():
        found.update(f"{name}\n".encode())
        found.update(column.astype(np.float64).data)
    return found.hexdigest()


def questions(parts: Mapping[str, Ballots]) -> Ballots:
    """All dimensions in one: each "pair" is a pair in one dimension, named `pair_id:dimension`; no candidates."""
    raters = tuple(sorted({name for part in parts.values() for name in part.raters}))
    place = {name: index for index, name in enumerate(raters)}
    moved, names, before = [], list[pa.Array](), 0
    for dimension, part in parts.items():
        at = np.array([place[name] for name in part.raters], np.int64)
        moved.append(replace(part, pair=part.pair + before, rater=at[part.rater]))
        names.append(pc.binary_join_element_wise(part.pairs, dimension, ":"))
        before += len(part.pairs)
    columns = {name: np.concatenate([getattr(part, name) for part in moved]) for name in PER_VOTE}
    nobody = pa.array([], pa.string())
    return Ballots(pa.concat_arrays(names), raters, (nobody, nobody), **columns)
