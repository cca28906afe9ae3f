"""Votes of one dimension as index arrays: what every aggregation works on.

The arrays are sorted by pair, rater and vote, so that the order in which votes came, or rows were read, changes no
sum, not even in its last bit. Deleted votes never get here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from warehouse.records import LABELS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Names = tuple[str, ...]
A, B, TIE, BOTH_BAD = range(len(LABELS))


@dataclass(frozen=True, eq=False)
class Ballots:
    """V votes on N pairs by R raters about C candidates; `left` is 1 where a stood left, -1 where b did, 0 unknown.

    `pair`, `rater`, `label` (index in LABELS), `left`, `time_s`, `seconds` (NaN unknown) and `gold` are [V];
    `first` and `second` [N] are the candidates a and b of each pair. Names are sorted.
    """

    pairs: Names
    raters: Names
    candidates: Names
    pair: Ints
    rater: Ints
    label: Ints
    left: Ints
    time_s: Floats
    seconds: Floats
    gold: Flags
    first: Ints
    second: Ints

    def __len__(self) -> int:
        return len(self.pair)

    def keep(self, mask: Flags) -> Ballots:
        """Only the votes of `mask` [V]; pairs, raters and candidates keep their indices."""
        chosen = {name: getattr(self, name)[mask] for name in PER_VOTE}
        return Ballots(self.pairs, self.raters, self.candidates, **chosen, first=self.first, second=self.second)

    def only(self, mask: Flags) -> Ballots:
        """The votes of `mask` [V], and the pairs and raters that are left with one, numbered anew."""
        kept = self.keep(mask)
        pairs, pair = np.unique(kept.pair, return_inverse=True)
        raters, rater = np.unique(kept.rater, return_inverse=True)
        return Ballots(
            pairs=tuple(self.pairs[index] for index in pairs),
            raters=tuple(self.raters[index] for index in raters),
            candidates=self.candidates,
            pair=pair.astype(np.int64),
            rater=rater.astype(np.int64),
            **{name: getattr(kept, name) for name in PER_VOTE[2:]},
            first=self.first[pairs],
            second=self.second[pairs],
        )

    def counts(self) -> Ints:
        """Votes of each label for each pair, [N, 4]."""
        flat = np.bincount(self.pair * len(LABELS) + self.label, minlength=len(self.pairs) * len(LABELS))
        return flat.reshape(len(self.pairs), len(LABELS)).astype(np.int64)


PER_VOTE = ("pair", "rater", "label", "left", "time_s", "seconds", "gold")
_SIDES = {"a": 1, "b": -1, None: 0}


def indexed(values: pa.Array | pa.ChunkedArray) -> tuple[Names, Ints]:
    """The distinct strings in order, and the place of each value among them."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    coded = whole.dictionary_encode()
    names = np.array(coded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(names)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return tuple(names[order].tolist()), place[coded.indices.to_numpy()]


def ballots_of(table: pa.Table) -> Ballots:
    """Columns pair_id, annotator_id, candidate_a, candidate_b, label and left (numbers), time_s, seconds, gold.

    The rows come sorted by pair, rater and vote.
    """
    pairs, pair = indexed(table["pair_id"])
    raters, rater = indexed(table["annotator_id"])
    _, where = np.unique(pair, return_index=True)
    sides = [table[name].take(pa.array(where)).combine_chunks() for name in ("candidate_a", "candidate_b")]
    candidates, both = indexed(pa.concat_arrays(sides))
    return Ballots(
        pairs=pairs,
        raters=raters,
        candidates=candidates,
        pair=pair,
        rater=rater,
        label=table["label"].to_numpy().astype(np.int64),
        left=table["left"].to_numpy().astype(np.int64),
        time_s=table["time_s"].to_numpy().astype(np.float64),
        seconds=table["seconds"].cast(pa.float64()).fill_null(np.nan).to_numpy(),
        gold=table["gold"].to_numpy().astype(np.bool_),
        first=both[: len(pairs)],
        second=both[len(pairs) :],
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
