"""Which pairs a campaign shows, how often, on which side, and where known answers are mixed in.

A task is one showing of a pair to one person. The side of the first showing is a hash of the task and the campaign's
seed, the next showing is mirrored, and so on: a rater who always says "left" cancels out within each pair. Extra
showings of pairs with a known answer (gold) are numbered after the ordinary ones, so that they reach other people. A
repeat has its first showing's number and the other side, for a back end that brings it to the same person.

Left out on purpose: who answers (the back end) and what comes back (votes.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from annotation.backend import GoldItem, PairView, Task
from warehouse import Warehouse
from warehouse.hashing import canonical_json, content_id
from warehouse.records import ADVERSARIAL, Row

_PAIRS = """
SELECT r.pair_id, p.text AS prompt, a.media_id AS media_a, b.media_id AS media_b, p.condition_media_id,
  lower(coalesce(json_extract_string(p.tags_json, '$.sensitive'), '')) IN ('true', 'yes', '1') AS sensitive
FROM pairs r JOIN candidates a ON a.candidate_id = r.candidate_a JOIN candidates b ON b.candidate_id = r.candidate_b
JOIN prompts p ON p.prompt_id = r.prompt_id
WHERE r.task = ? AND r.prompt_b_id IS NULL AND (? = '' OR (a.generator_id = ? AND b.generator_id = ?))
  AND CASE WHEN ? = '' THEN r.source IS DISTINCT FROM ? ELSE r.source = ? END
  AND (? = '' OR (a.source = ? AND b.source = ?)) ORDER BY r.pair_id
"""


def pair_views(
    warehouse: Warehouse, task: str, generator_id: str, source: str, candidate_source: str = ""
) -> tuple[list[PairView], int]:
    """Pairs of a task that can be shown, by generator and source of both candidates, and source of the pair ("" = any).

    Adversarial pairs, which nobody should judge, are shown only where their source is asked for. The second value
    counts pairs left out because a medium is not in the store.
    """
    filters = [task, *[generator_id] * 3, source, ADVERSARIAL, source, *[candidate_source] * 3]
    rows = warehouse.rows(_PAIRS, filters)
    views = [PairView(**row) for row in rows if row["media_a"] is not None and row["media_b"] is not None]
    return views, len(rows) - len(views)


def pairs_digest(views: Sequence[PairView]) -> str:
    """A digest of everything that is shown of the pairs."""
    listed = [[v.pair_id, v.prompt, v.media_a, v.media_b, v.condition_media_id] + ["sensitive"] * v.sensitive
              for v in views]
    return content_id("shown pairs", canonical_json(listed))


def campaign_row(campaign_id: str, identity: Mapping[str, Any], overlap: int) -> Row:
    """The campaigns table's row; `identity` is the config that decided it."""
    return {
        "campaign_id": campaign_id,
        "name": identity["name"],
        "task": identity["task"],
        "dimensions_json": canonical_json(identity["dimensions"]),
        "guideline_version": identity["guideline_version"],
        "overlap": overlap,
        "backend": identity.get("backend", ""),
        "config_json": canonical_json(dict(identity)),
    }


def task_row(campaign_id: str, pair_id: str, replica: int, gold: bool, seed: int) -> Row:
    """An open annotation task; replicas of one pair alternate sides from a start given by hash."""
    start = int(content_id("left side", seed, pair_id)[0], 16)
    return {
        "task_id": content_id("annotation task", campaign_id, pair_id, replica),
        "campaign_id": campaign_id,
        "pair_id": pair_id,
        "item_kind": "pair",
        "left_side": "ab"[(start + replica) % 2],
        "replica": replica,
        "gold": gold,
        "state": "open",
    }


def repeat_row(row: Row) -> Row:
    """The same question once more for the same person, the other way round: how steady are they?"""
    turned = {"a": "b", "b": "a"}[row["left_side"]]
    return row | {
        "task_id": content_id("repeat task", row["task_id"]),
        "left_side": turned,
        "repeat_of": row["task_id"],
    }


def plan_tasks(
    campaign_id: str,
    views: Sequence[PairView],
    gold: Sequence[GoldItem],
    overlap: int,
    gold_share: float,
    seed: int,
    repeat_share: float = 0.0,
) -> list[Row]:
    """`overlap` tasks a pair, then known answers until they are `gold_share` of those, then repeats of some.

    Gold pairs are taken in the order given, each shown at most `overlap` more times where there are enough of them;
    without known answers nothing is added. The tasks' `gold` column says which known answers are in use.
    `repeat_share` of the plain tasks, by hash, are asked again.
    """
    plain = [task_row(campaign_id, view.pair_id, replica, False, seed) for view in views for replica in range(overlap)]
    known = list(dict.fromkeys(item.pair_id for item in gold))
    extra = round(len(plain) * gold_share / (1.0 - gold_share)) if known else 0
    known = known[: math.ceil(extra / overlap)]
    mixed = [
        task_row(campaign_id, known[index % len(known)], overlap + index // len(known), True, seed)
        for index in range(extra)
    ]
    by_hash = sorted(plain, key=lambda row: content_id("repeat", seed, row["task_id"]))
    return plain + mixed + [repeat_row(row) for row in by_hash[: round(len(plain) * repeat_share)]]


def blind_task(row: Row, view: PairView, guideline: Sequence[Row], rationale_share: float, seed: int) -> Task:
    """What the back end is given of a task row: neither candidates, nor generators, nor whether it is gold."""
    a_left = row["left_side"] == "a"
    draw = int(content_id("wants rationale", seed, row["task_id"])[:8], 16) / 2**32
    return Task(
        task_id=row["task_id"],
        pair_id=view.pair_id,
        replica=row["replica"],
        prompt=view.prompt,
        left_media_id=view.media_a if a_left else view.media_b,
        right_media_id=view.media_b if a_left else view.media_a,
        condition_media_id=view.condition_media_id,
        dimensions=tuple(item["dimension"] for item in guideline),
        criteria=tuple(item["criteria"] for item in guideline),
        wants_rationale=draw < rationale_share,
        sensitive=view.sensitive,
    )
