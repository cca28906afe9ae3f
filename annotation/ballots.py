"""Votes of one dimension as index arrays: what every aggregation works on.

The arrays are sorted by pair, rater and task, so that the order in which votes came, or rows were read, changes no
sum, not even in its last bit. Deleted votes never get here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warehouse.records import LABELS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
A, B, TIE, BOTH_BAD = range(len(LABELS))


@dataclass(frozen=True, eq=False)
class Ballots:
    """V votes on N pairs by R raters about C candidates; `left` is 1 where a stood left, -1 where b did, 0 unknown.

    `pair`, `rater`, `label` (index in LABELS), `left`, `time_s`, `seconds` (NaN unknown) and `gold` are [V];
    `first` and `second` [N] are the candidates a and b of each pair.
    """

    pairs: tuple[str, ...]
    raters: tuple[str, ...]
    candidates: tuple[str, ...]
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
        chosen = {name: getattr(self, name)[mask] for name in _PER_VOTE}
        return Ballots(self.pairs, self.raters, self.candidates, **chosen, first=self.first, second=self.second)

    def counts(self) -> Ints:
        """Votes of each label for each pair, [N, 4]."""
        flat = np.bincount(self.pair * len(LABELS) + self.label, minlength=len(self.pairs) * len(LABELS))
        return flat.reshape(len(self.pairs), len(LABELS)).astype(np.int64)


_PER_VOTE = ("pair", "rater", "label", "left", "time_s", "seconds", "gold")
_SIDES = {"a": 1, "b": -1, None: 0}


def _index(values: Sequence[str]) -> tuple[tuple[str, ...], Ints]:
    names, inverse = np.unique(np.array(values, dtype=object).astype(str), return_inverse=True)
    return tuple(str(name) for name in names), inverse.astype(np.int64)


def ballots(rows: Sequence[Mapping[str, Any]]) -> Ballots:
    """Votes as rows of the votes table, each with its pair's candidate_a and candidate_b and its task's `gold`."""
    rows = sorted(rows, key=lambda row: (row["pair_id"], row["annotator_id"], row["vote_id"]))
    pairs, pair = _index([row["pair_id"] for row in rows])
    raters, rater = _index([row["annotator_id"] for row in rows])
    members = {row["pair_id"]: (row["candidate_a"], row["candidate_b"]) for row in rows}
    sides = [members[name] for name in pairs]
    candidates, both = _index([side[0] for side in sides] + [side[1] for side in sides])
    return Ballots(
        pairs=pairs,
        raters=raters,
        candidates=candidates,
        pair=pair,
        rater=rater,
        label=np.array([LABELS.index(row["label"]) for row in rows], np.int64),
        left=np.array([_SIDES[row["left_side"]] for row in rows], np.int64),
        time_s=np.array([row["updated_at"].timestamp() for row in rows], np.float64),
        seconds=np.array([np.nan if row["seconds"] is None else row["seconds"] for row in rows], np.float64),
        gold=np.array([bool(row["gold"]) for row in rows], np.bool_),
        first=both[: len(pairs)],
        second=both[len(pairs) :],
    )
