"""Votes of one dimension as index arrays: what every aggregation works on.

The arrays are sorted by pair, rater and vote, so that the order in which votes came, or rows were read, changes no
sum, not even in its last bit. Deleted votes never get here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from warehouse.records import LABELS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Names = tuple[str, ...]
A, B, TIE, BOTH_BAD = range(len(LABELS))


@dataclass(frozen=True, eq=False)
class Ballots:
    """V votes on N pairs by R raters; `left` is 1 where a stood left, -1 where b did, 0 unknown.

    `pair`, `rater`, `label` (index in LABELS), `left`, `time_s`, `seconds` (NaN unknown) and `gold` are [V]; `pairs`
    and `sides`, the candidates a and b of each pair, are Arrow texts [N]: there may be millions. Names are sorted.
    """

    pairs: pa.Array
    raters: Names
    sides: tuple[pa.Array, pa.Array]
    pair: Ints
    rater: Ints
    label: Ints
    left: Ints
    time_s: Floats
    seconds: Floats
    gold: Flags

    def __len__(self) -> int:
        return len(self.pair)

    @cached_property
    def _numbered(self) -> tuple[pa.Array, Ints]:
        return numbered(pa.concat_arrays(self.sides))

    @property
    def candidates(self) -> pa.Array:
        """Names of the C candidates of all pairs, sorted; numbered when first asked for."""
        return self._numbered[0]

    @property
    def first(self) -> Ints:
        """Candidate a of each pair [N], as an index of `candidates`."""
        return self._numbered[1][: len(self.pairs)]

    @property
    def second(self) -> Ints:
        """Candidate b of each pair [N]."""
        return self._numbered[1][len(self.pairs) :]

    def keep(self, mask: Flags) -> Ballots:
        """Only the votes of `mask` [V]; pairs, raters and candidates keep their indices."""
        return self if mask.all() else replace(self, **{name: getattr(self, name)[mask] for name in PER_VOTE})

    def only(self, mask: Flags) -> Ballots:
        """The votes of `mask` [V], and the pairs and raters that are left with one, numbered anew."""
        kept = self.keep(mask)
        pairs, pair = _closed_up(kept.pair, len(self.pairs))
        raters, rater = _closed_up(kept.rater, len(self.raters))
        if len(pairs) == len(self.pairs) and len(raters) == len(self.raters):
            return kept
        chosen = pa.array(pairs)
        return replace(
            kept,
            pairs=self.pairs.take(chosen),
            raters=tuple(self.raters[index] for index in raters),
            sides=tuple(side.take(chosen) for side in self.sides),
            pair=pair,
            rater=rater,
        )

    def counts(self) -> Ints:
        """Votes of each label for each pair, [N, 4]."""
        flat = np.bincount(self.pair * len(LABELS) + self.label, minlength=len(self.pairs) * len(LABELS))
        return flat.reshape(len(self.pairs), len(LABELS)).astype(np.int64)


PER_VOTE = ("pair", "rater", "label", "left", "time_s", "seconds", "gold")
_SIDES = {"a": 1, "b": -1, None: 0}


def _closed_up(indices: Ints, size: int) -> tuple[Ints, Ints]:
    """Which of 0 … size - 1 are met, in order, and the place of each index among them."""
    met = np.bincount(indices, minlength=size) > 0
    return np.flatnonzero(met).astype(np.int64), (np.cumsum(met) - 1)[indices]


def numbered(values: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """The distinct texts in order, and the place of each value among them."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    coded = whole.dictionary_encode()
    order = pc.sort_indices(coded.dictionary)
    place = np.empty(len(order), np.int64)
    place[order.to_numpy()] = np.arange(len(order))
    return coded.dictionary.take(order), place[coded.indices.to_numpy()]


def ballots_of(table: pa.Table) -> Ballots:
    """Columns pair_id, annotator_id, candidate_a, candidate_b, label and left (numbers), time_s, seconds, gold.

    The rows come sorted by pair, rater and vote.
    """
    pairs, pair = numbered(table["pair_id"])
    raters, rater = numbered(table["annotator_id"])
    _, where = np.unique(pair, return_index=True)
    sides = [table[name].take(pa.array(where)).combine_chunks() for name in ("candidate_a", "candidate_b")]
    return Ballots(
        pairs=pairs,
        raters=tuple(raters.to_pylist()),
        sides=(sides[0], sides[1]),
        pair=pair,
        rater=rater,
        label=table["label"].to_numpy().astype(np.int64),
        left=table["left"].to_numpy().astype(np.int64),
        time_s=table["time_s"].to_numpy().astype(np.float64),
        seconds=table["seconds"].cast(pa.float64()).fill_null(np.nan).to_numpy(),
        gold=table["gold"].to_numpy().astype(np.bool_),
    )


def ballots(rows: Sequence[Mapping[str, Any]]) -> Ballots:
    """Votes as rows of the votes table, each with its pair's candidate_a and candidate_b and its task's `gold`."""
    rows = sorted(rows, key=lambda row: (row["pair_id"], row["annotator_id"], row["vote_id"]))
    columns: dict[str, pa.Array] = {
        name: pa.array([row[name] for row in rows], pa.string())
        for name in ("pair_id", "annotator_id", "candidate_a", "candidate_b")
    }
    columns["label"] = pa.array([LABELS.index(row["label"]) for row in rows], pa.int64())
    columns["left"] = pa.array([_SIDES[row["left_side"]] for row in rows], pa.int64())
    columns["time_s"] = pa.array([row["updated_at"].timestamp() for row in rows], pa.float64())
    columns["seconds"] = pa.array([row["seconds"] for row in rows], pa.float64())
    columns["gold"] = pa.array([bool(row["gold"]) for row in rows], pa.bool_())
    return ballots_of(pa.table(columns))
