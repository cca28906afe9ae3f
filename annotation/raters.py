"""The state of a campaign's people and questions, for `rewarddance annotate report`: read only, pseudonymous.

Figures come from the latest consensus over the campaign where there is one (its raters, its agreement), and from rows:
days worked, standing, exposure of known questions, flags, disputed pairs. Names of raters are never read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from annotation.admission import happened, standing
from annotation.extra_votes import adjudication_id
from annotation.gold import RETIRED_AT, exposure
from warehouse import Warehouse
from warehouse.errors import NotFoundError
from warehouse.records import Row


@dataclass(frozen=True)
class RaterLine:
    """One rater; shares in [0, 1], None where nothing was measured; `standing` "" is neither admitted nor paused."""

    rater: str
    votes: int
    days: int
    gold_votes: int
    gold_accuracy: float | None
    agreement: float | None
    repeats: int
    self_consistency: float | None
    left_share: float | None
    median_seconds: float | None
    flags: tuple[str, ...]
    standing: str


_CAMPAIGN = "SELECT * FROM campaigns WHERE campaign_id = ? OR name = ? ORDER BY created_at DESC, campaign_id LIMIT 1"
_CONSENSUS = """
SELECT c.* FROM consensus_runs c LEFT JOIN runs r USING (run_id)
WHERE contains(c.params_json, ?) ORDER BY r.finished_at DESC NULLS LAST, c.consensus_id LIMIT 1
"""
_PEOPLE = """
SELECT v.annotator_id, n.pseudonym, count(*) AS votes, count(DISTINCT CAST(v.created_at AS DATE)) AS days,
  median(v.seconds) AS seconds
FROM votes v JOIN annotation_tasks t USING (task_id) JOIN annotators n USING (annotator_id)
WHERE t.campaign_id = ? AND NOT coalesce(v.deleted, false) GROUP BY 1, 2 ORDER BY votes DESC, 2
"""
_DAILY = """
SELECT CAST(v.created_at AS DATE) AS day, count(*) AS votes
FROM votes v JOIN annotation_tasks t USING (task_id) WHERE t.campaign_id = ? AND NOT coalesce(v.deleted, false)
GROUP BY 1 ORDER BY 1
"""
_STATES = "SELECT state, count(*) AS n FROM annotation_tasks WHERE campaign_id = ? GROUP BY 1 ORDER BY 1"
_FLAGS = """
SELECT reason, count(*) AS n FROM (
    SELECT json_extract_string(payload_json, '$.task_id') AS task_id,
      json_extract_string(payload_json, '$.annotator_id') AS annotator_id, arg_max(kind, created_at) AS kind,
      arg_max(json_extract_string(payload_json, '$.reason'), created_at) AS reason
    FROM events WHERE kind IN ('flag', 'unflag') GROUP BY 1, 2
) JOIN annotation_tasks t USING (task_id) WHERE kind = 'flag' AND t.campaign_id = ? GROUP BY 1 ORDER BY 1
"""


def find_campaign(warehouse: Warehouse, campaign: str) -> Row:
    """The campaign of an id, or the latest of a name; raises NotFoundError."""
    rows = warehouse.rows(_CAMPAIGN, [campaign, campaign])
    if not rows:
        hint = 'rewarddance sql "SELECT campaign_id, name FROM campaigns"'
        raise NotFoundError(f"no campaign {campaign!r}", hint=hint)
    return rows[0]


def _line(row: Row, rated: dict[str, Any], stands: str) -> RaterLine:
    return RaterLine(
        rater=row["pseudonym"],
        votes=row["votes"],
        days=row["days"],
        gold_votes=int(rated.get("gold_votes", 0)),
        gold_accuracy=rated.get("gold_accuracy"),
        agreement=rated.get("agreement"),
        repeats=int(rated.get("repeats", 0)),
        self_consistency=rated.get("self_consistency"),
        left_share=rated.get("left_share"),
        median_seconds=None if row["seconds"] is None else round(row["seconds"], 2),
        flags=tuple(rated.get("flags", ())),
        standing=stands,
    )


def rater_report(warehouse: Warehouse, campaign: str) -> dict[str, Any]:
    """Everything that the table and the page show; JSON-ready."""
    about = find_campaign(warehouse, campaign)
    campaign_id = about["campaign_id"]
    merged = warehouse.rows(_CONSENSUS, [campaign_id])
    rated = json.loads(merged[0]["raters_json"]) if merged else {}
    events, dimensions = happened(warehouse), json.loads(about["dimensions_json"])
    lines = []
    for row in warehouse.rows(_PEOPLE, [campaign_id]):
        person = row["annotator_id"]
        stands = standing(events.get(person, ()), about["task"], dimensions)
        lines.append(_line(row, rated.get(person, {}), stands))
    met = exposure(warehouse)
    return {
        "campaign": about["name"],
        "campaign_id": campaign_id,
        "guideline_version": about["guideline_version"],
        "consensus_id": merged[0]["consensus_id"] if merged else None,
        "agreement": json.loads(merged[0]["agreement_json"]) if merged else {},
        "split_pairs": _split(warehouse, merged[0]["consensus_id"]) if merged else 0,
        "tasks": _counted(warehouse, _STATES, "state", campaign_id),
        "flagged": _counted(warehouse, _FLAGS, "reason", campaign_id),
        "adjudication": _counted(warehouse, _STATES, "state", adjudication_id(campaign_id)),
        "gold": {"pairs": len(met), "retired": sum(n >= RETIRED_AT for n in met.values()),
                 "most_exposed": max(met.values(), default=0)},
        "days": [{"day": str(row["day"]), "votes": row["votes"]} for row in warehouse.rows(_DAILY, [campaign_id])],
        "raters": [asdict(line) for line in lines],
    }


def _counted(warehouse: Warehouse, query: str, name: str, campaign_id: str) -> dict[str, int]:
    return {row[name]: row["n"] for row in warehouse.rows(query, [campaign_id])}


def _split(warehouse: Warehouse, consensus_id: str) -> int:
    query = "SELECT count(*) AS n FROM preferences WHERE consensus_id = ? AND split_population"
    return int(warehouse.rows(query, [consensus_id])[0]["n"])
