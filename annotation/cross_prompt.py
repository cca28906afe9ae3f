"""Pairs across prompts from pass and fail: an item that passed beats one that failed, whatever either shows.

SoliReward (arXiv 2512.22170): such pairs are many more than those within prompts, and pairs of two items that passed,
as ties, keep a model from spreading what is equally good. Two that failed are left out: they made models worse there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from warehouse import Warehouse
from warehouse.hashing import content_id
from warehouse.records import Row, pair_row

# Two of three people agree; in between an item has neither passed nor failed.
CLEAR = 2 / 3
_SHARES = """
SELECT v.candidate_id, sum(CAST(v.label = 'pass' AS INTEGER)) AS passed, count(*) AS votes
FROM votes v JOIN candidates c USING (candidate_id)
WHERE c.task = ? AND v.dimension = ? AND v.label IN ('pass', 'fail') AND NOT coalesce(v.deleted, false) GROUP BY 1
"""


def item_shares(warehouse: Warehouse, task: str, dimension: str) -> dict[str, tuple[int, int]]:
    """(votes that passed it, votes) of each item."""
    rows = warehouse.rows(_SHARES, [task, dimension])
    return {row["candidate_id"]: (int(row["passed"]), int(row["votes"])) for row in rows}


def cross_pairs(
    items: Sequence[Row], verdicts: Mapping[str, tuple[int, int]], each: int, tie_share: float, seed: int
) -> list[Row]:
    """Rows of pairs: each failed item against `each` passed ones of other prompts, and ties among those that passed.

    `items` are rows of candidates. Which ones meet follows from ids and seed alone; media that are the same never meet.
    """
    ordered = sorted(items, key=lambda row: content_id("cross prompt", seed, row["candidate_id"]))
    share = {name: passed / votes for name, (passed, votes) in verdicts.items()}
    passed = [row for row in ordered if share.get(row["candidate_id"], 0.5) >= CLEAR]
    failed = [row for row in ordered if share.get(row["candidate_id"], 0.5) <= 1 - CLEAR]
    made = [_pair(row, other, "cross_prompt") for place, row in enumerate(failed)
            for other in _others(row, passed, place * each, each)]
    ties = round(len(made) * tie_share / (1.0 - tie_share))
    rounds = -(-ties // max(len(passed), 1)) if ties else 0
    tied = [_pair(row, other, "cross_prompt") for place, row in enumerate(passed)
            for other in _others(row, passed, place + 1, rounds)]
    distinct = {row["pair_id"]: row for row in [*made, *tied[:ties]]}
    return list(distinct.values())


def _others(row: Row, passed: Sequence[Row], start: int, wanted: int) -> list[Row]:
    """The next `wanted` of `passed`, from `start` on in a circle, that have another prompt and other media."""
    found: list[Row] = []
    for step in range(len(passed)):
        other = passed[(start + step) % len(passed)]
        if len(found) == wanted:
            break
        if other["prompt_id"] != row["prompt_id"] and other["media_id"] != row["media_id"]:
            found.append(other)
    return found


def _pair(row: Row, other: Row, strategy: str) -> Row:
    return pair_row(row["prompt_id"], row["candidate_id"], other["candidate_id"], row["task"], strategy, "items",
                    prompt_b_id=other["prompt_id"])
