"""How many votes, hours, how much money, and when done: an estimate with its interval, from what raters did so far.

Three things are uncertain and drawn many times: the share of pairs on which raters will disagree and that get all
their votes (Beta, from pairs voted on), the seconds a task takes (bootstrap over raters, since one rater's times
belong together), and, with a history of three days or more, the tasks answered a day (bootstrap over days). Without a
history the caller's own figures stand in, and only what is known to be uncertain widens the interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from annotation.ballots import Floats
from warehouse import Warehouse
from warehouse.errors import InvalidInputError
from warehouse.records import Row

LONGEST_TASK_S = 120.0
_DRAWS = 4000
# The time of a task is that of its slowest dimension: Label Studio gives one lead time to all of them.
_SECONDS = """
SELECT annotator_id, avg(seconds) AS seconds, count(*) AS n FROM (
    SELECT v.annotator_id, v.task_id, least(max(v.seconds), ?) AS seconds
    FROM votes v JOIN annotation_tasks t USING (task_id) JOIN campaigns c USING (campaign_id)
    WHERE c.task = ? AND v.seconds IS NOT NULL AND NOT coalesce(v.deleted, false) GROUP BY ALL
) GROUP BY 1 ORDER BY 1
"""
_DISAGREED = """
SELECT count(*) AS pairs, coalesce(sum(CAST(labels > 1 AS INTEGER)), 0) AS disagreed FROM (
    SELECT v.pair_id, v.dimension, count(DISTINCT v.label) AS labels FROM votes v JOIN pairs r USING (pair_id)
    WHERE r.task = ? AND NOT coalesce(v.deleted, false) GROUP BY ALL HAVING count(*) > 1
)
"""
_DAYS = """
SELECT CAST(v.created_at AS DATE) AS day, count(DISTINCT (v.task_id, v.annotator_id)) AS n
FROM votes v JOIN annotation_tasks t USING (task_id) WHERE t.campaign_id = ? GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class Job:
    """What is to be done: `pairs` with `overlap` votes, up to `max_votes` where raters disagree.

    `seconds` a task is used where there is no history; `price_hour` in any currency.
    """

    pairs: int
    overlap: int
    max_votes: int
    raters: int
    hours_day: float
    price_hour: float
    seconds: float

    def __post_init__(self) -> None:
        wrong = [name for name, value in asdict(self).items() if not math.isfinite(value) or value < 0]
        if wrong or self.raters == 0 or self.hours_day == 0 or self.max_votes < self.overlap or self.seconds == 0:
            raise InvalidInputError(f"a job that cannot be planned: {asdict(self)}",
                                    hint="positive raters, hours and seconds, and max_votes of at least the overlap")


@dataclass(frozen=True)
class History:
    """`seconds` [R] of each rater (mean), `disagreed` of `pairs` voted on by two or more, tasks answered a day."""

    seconds: Floats
    disagreed: int
    pairs: int
    days: Floats


def history(warehouse: Warehouse, task: str, campaign_id: str = "") -> History:
    """What raters did on a task so far; the pace is that of one campaign."""
    times = warehouse.rows(_SECONDS, [LONGEST_TASK_S, task])
    [shared] = warehouse.rows(_DISAGREED, [task])
    days = [row["n"] for row in warehouse.rows(_DAYS, [campaign_id])]
    return History(
        np.array([row["seconds"] for row in times], np.float64), shared["disagreed"], shared["pairs"],
        np.array(days, np.float64),
    )


def _bootstrap(values: Floats, rng: np.random.Generator) -> Floats:
    """Means of resamples, [DRAWS]."""
    means: Floats = values[rng.integers(len(values), size=(_DRAWS, len(values)))].mean(axis=1)
    return means


def _figure(draws: Floats, digits: int) -> dict[str, float]:
    ends = zip(("low", "expected", "high"), np.quantile(draws, [0.025, 0.5, 0.975]), strict=True)
    return {name: round(float(value), digits) for name, value in ends}


def plan(job: Job, known: History, start: date, seed: int = 0) -> dict[str, Any]:
    """`votes`, `hours`, `cost` as {low, expected, high} (95 %), `end` as dates, and what the figures stand on."""
    rng = np.random.default_rng(seed)
    share = rng.beta(known.disagreed + 0.5, known.pairs - known.disagreed + 0.5, _DRAWS)
    votes = np.ceil(job.pairs * (job.overlap + share * (job.max_votes - job.overlap)))
    measured = len(known.seconds) > 0
    seconds = _bootstrap(known.seconds, rng) if measured else np.full(_DRAWS, job.seconds)
    hours = votes * seconds / 3600.0
    paced = len(known.days) >= 3
    days = votes / _bootstrap(known.days, rng) if paced else hours / (job.raters * job.hours_day)
    ends = {name: str(start + timedelta(days=math.ceil(value))) for name, value in _figure(days, 3).items()}
    return {
        "votes": _figure(votes, 0),
        "hours": _figure(hours, 1),
        "cost": _figure(hours * job.price_hour, 2),
        "end": ends,
        "seconds_per_vote": round(float(np.median(seconds)), 2),
        "disagreement": round(float(np.median(share)), 3),
        "from_history": {"seconds": measured, "disagreement": known.pairs > 0, "pace": paced},
    }


_PAID = """
WITH standing AS (
    SELECT annotator_id, happened_at, kind FROM annotator_events WHERE kind IN ('paused', 'resumed')
), answers AS (
    SELECT v.annotator_id, v.task_id, CAST(min(v.created_at) AS DATE) AS day, min(v.created_at) AS at,
      count(*) AS votes, least(coalesce(max(v.seconds), 0), ?) AS seconds,
      bool_or(coalesce(v.deleted, false)) AS deleted
    FROM votes v JOIN annotation_tasks t USING (task_id) JOIN campaigns c USING (campaign_id)
    WHERE (? = '' OR c.name = ? OR c.campaign_id = ?) GROUP BY 1, 2
)
SELECT n.pseudonym AS rater, a.day, sum(a.votes) AS votes,
  sum(CASE WHEN a.deleted OR s.kind = 'paused' THEN 0 ELSE a.votes END) AS accepted,
  round(sum(CASE WHEN a.deleted OR s.kind = 'paused' THEN 0 ELSE a.seconds END), 1) AS seconds
FROM answers a JOIN annotators n USING (annotator_id)
ASOF LEFT JOIN standing s ON s.annotator_id = a.annotator_id AND s.happened_at < a.at
GROUP BY 1, 2 ORDER BY 1, 2
"""


def payroll(warehouse: Warehouse, campaign: str = "", longest_s: float = LONGEST_TASK_S) -> list[Row]:
    """Per rater and day (UTC): votes, accepted ones, and their seconds, each task at most `longest_s`.

    Not accepted are deleted votes and those given after the rater was paused. `campaign` is a name or an id.
    """
    rows = warehouse.rows(_PAID, [longest_s, campaign, campaign, campaign])
    return [_plain(row) for row in rows]


def _plain(row: Mapping[str, Any]) -> Row:
    return dict(row) | {"day": str(row["day"]), "votes": int(row["votes"]), "accepted": int(row["accepted"])}


def totals(rows: Sequence[Row]) -> dict[str, Any]:
    """Sums over a payroll."""
    return {
        "raters": len({row["rater"] for row in rows}),
        "votes": sum(row["votes"] for row in rows),
        "accepted": sum(row["accepted"] for row in rows),
        "hours": round(sum(row["seconds"] for row in rows) / 3600.0, 2),
    }
