"""Questions with known answers in rotation: the least exposed first, the over-exposed retired.

A question that many raters have met gets known: answers to it are remembered or told. Exposure is the number of
raters who met a pair as a known question, in tasks marked gold or in a qualification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from annotation.backend import GoldItem
from warehouse import Warehouse
from warehouse.hashing import content_id

RETIRED_AT = 60
_EXPOSURE = """
SELECT pair_id, count(DISTINCT annotator_id) AS n FROM (
    SELECT v.pair_id, v.annotator_id FROM votes v JOIN annotation_tasks t USING (task_id)
    WHERE t.gold AND t.campaign_id <> ?
    UNION ALL
    SELECT json_extract_string(detail_json, '$.pair_id') AS pair_id, annotator_id FROM annotator_events
    WHERE kind = 'qualification_answer'
) GROUP BY 1
"""
_IN_USE = "SELECT pair_id, count(*) AS n FROM annotation_tasks WHERE gold AND campaign_id = ? GROUP BY 1"


def exposure(warehouse: Warehouse, without_campaign: str = "") -> dict[str, int]:
    """Raters that met each known pair; a campaign's own showings can be left out."""
    return {row["pair_id"]: row["n"] for row in warehouse.rows(_EXPOSURE, [without_campaign])}


def in_use(warehouse: Warehouse, campaign_id: str) -> dict[str, int]:
    """Known pairs that a campaign has tasks of, and how many: planned again, it keeps them."""
    return {row["pair_id"]: row["n"] for row in warehouse.rows(_IN_USE, [campaign_id])}


def rotated(
    items: Sequence[GoldItem], seen: Mapping[str, int], seed: int, kept: Mapping[str, int] | None = None
) -> list[GoldItem]:
    """Items in the order they are to be used, retired pairs left out.

    Pairs of `kept` come first whatever their exposure, those shown most often before the others, so that a campaign
    that is planned again gives each of them as many tasks as it has.
    """
    held = kept or {}

    def place(item: GoldItem) -> tuple[int, int, str, str]:
        shown, met = held.get(item.pair_id, 0), seen.get(item.pair_id, 0)
        return -shown, 0 if shown else met, content_id("gold", seed, item.pair_id), item.dimension

    alive = [item for item in items if item.pair_id in held or seen.get(item.pair_id, 0) < RETIRED_AT]
    return sorted(alive, key=place)
