"""What a session came to: win rates of the generators with intervals, and every vote in words.

A win rate is wins plus half of the ties (both-bad is one) over all votes on pairs with another generator, with its
Wilson interval (95 %). With few votes the interval is wide, and that is the message.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from annotation.quality import wilson
from warehouse import Warehouse
from warehouse.records import Row

_VOTES = """
SELECT v.vote_id, v.pair_id, v.dimension, n.pseudonym AS rater, v.label, v.left_side, v.seconds, v.guideline_version,
  v.created_at, v.updated_at, p.text AS prompt, p.task, ga.name AS generator_a, gb.name AS generator_b,
  a.source_item AS item_a, b.source_item AS item_b, a.media_id AS media_a, b.media_id AS media_b, p.media_kind AS kind,
  p.condition_media_id
FROM votes v JOIN annotation_tasks t USING (task_id) JOIN annotators n USING (annotator_id)
JOIN pairs r ON r.pair_id = v.pair_id JOIN prompts p ON p.prompt_id = r.prompt_id
JOIN candidates a ON a.candidate_id = r.candidate_a JOIN candidates b ON b.candidate_id = r.candidate_b
JOIN generators ga ON ga.generator_id = a.generator_id JOIN generators gb ON gb.generator_id = b.generator_id
WHERE t.campaign_id = ? AND NOT v.deleted ORDER BY v.created_at, v.vote_id
"""
_SCORE = {"a": 1.0, "b": 0.0}


@dataclass(frozen=True)
class WinRate:
    """One generator over its votes; `rate`, `low` and `high` are shares."""

    generator: str
    rate: float
    low: float
    high: float
    wins: int
    ties: int
    votes: int


def voted(warehouse: Warehouse, campaign_id: str) -> list[Row]:
    """The votes of a campaign that count, oldest first, with prompt, generators and media of both candidates."""
    return warehouse.rows(_VOTES, [campaign_id])


def win_rates(rows: Sequence[Row]) -> list[WinRate]:
    """Best first; votes between two candidates of one generator say nothing here."""
    tally: dict[str, list[float]] = {}
    for row in rows:
        if row["generator_a"] == row["generator_b"]:
            continue
        score = _SCORE.get(row["label"], 0.5)
        tally.setdefault(row["generator_a"], []).append(score)
        tally.setdefault(row["generator_b"], []).append(1.0 - score)
    rates = [_rate(name, scores) for name, scores in tally.items()]
    return sorted(rates, key=lambda rate: (-rate.rate, rate.generator))


def _rate(name: str, scores: Sequence[float]) -> WinRate:
    total, n = float(sum(scores)), len(scores)
    low, high = wilson(np.array([total]), np.array([float(n)]))
    wins, ties = sum(score == 1.0 for score in scores), sum(score == 0.5 for score in scores)
    return WinRate(name, round(total / n, 4), round(float(low[0]), 4), round(float(high[0]), 4), wins, ties, n)


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Win rates, number of votes, share of decided votes for the left side, median seconds a vote."""
    sided = [row["label"] == row["left_side"] for row in rows if row["label"] in _SCORE]
    seconds = [row["seconds"] for row in rows if row["seconds"] is not None]
    return {
        "votes": len(rows),
        "left_share": round(sum(sided) / len(sided), 3) if sided else None,
        "median_seconds": round(float(np.median(seconds)), 1) if seconds else None,
        "win_rates": [asdict(rate) for rate in win_rates(rows)],
    }


def vote_lines(rows: Sequence[Row]) -> str:
    """JSON lines, one a vote: what was shown where, by whom it was made, what was said."""
    return "".join(json.dumps(_line(row), ensure_ascii=False, default=str) + "\n" for row in rows)


def _line(row: Row) -> dict[str, Any]:
    winner = {"a": row["generator_a"], "b": row["generator_b"]}.get(row["label"])
    return {name: value for name, value in row.items() if name != "kind"} | {"winner": winner}
