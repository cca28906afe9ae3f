"""Plans whose figures can be checked by hand, and pay that a deleted vote or a paused rater does not raise."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from annotation.budget import History, Job, history, payroll, plan, totals
from tests.annotation.world import START
from warehouse import Warehouse
from warehouse.errors import InvalidInputError
from warehouse.records import annotator_row

NOTHING = History(np.array([]), 0, 0, np.array([]))
TODAY = date(2026, 3, 2)


def _job(**more: float) -> Job:
    given = {"pairs": 1000, "overlap": 3, "max_votes": 3, "raters": 5, "hours_day": 2.0, "price_hour": 20.0,
             "seconds": 9.0}
    return Job(**(given | more))  # type: ignore[arg-type]


def test_a_plan_without_doubt_is_arithmetic() -> None:
    """3,000 votes of 9 s are 7.5 hours; five raters with two hours a day need one day."""
    found = plan(_job(), NOTHING, TODAY)
    assert found["votes"] == {"low": 3000.0, "expected": 3000.0, "high": 3000.0}
    assert found["hours"]["expected"] == 7.5 and found["cost"]["expected"] == 150.0
    assert found["end"] == {"low": "2026-03-03", "expected": "2026-03-03", "high": "2026-03-03"}
    assert not any(found["from_history"].values())


def test_disagreement_and_pace_widen_the_interval() -> None:
    known = History(np.array([4.0, 6.0, 8.0]), 30, 100, np.array([200.0, 300.0, 400.0]))
    found = plan(_job(max_votes=5), known, TODAY)
    # 1,000 x (3 + 0.3 x 2) votes; a share of 30 of 100 is known to about nine points.
    assert found["votes"]["expected"] == pytest.approx(3600, rel=0.02)
    assert found["votes"]["low"] == pytest.approx(3430, abs=40)
    assert found["votes"]["high"] == pytest.approx(3790, abs=40)
    assert found["hours"]["low"] < found["hours"]["expected"] == pytest.approx(6.0, rel=0.05)
    assert found["end"]["low"] < found["end"]["expected"] < found["end"]["high"]
    assert plan(_job(max_votes=5), known, TODAY) == found


def test_a_narrower_history_gives_a_narrower_plan() -> None:
    reach = []
    for pairs in (30, 3000):
        votes = plan(_job(max_votes=5), History(np.array([6.0]), pairs // 3, pairs, np.array([])), TODAY)["votes"]
        reach.append(votes["high"] - votes["low"])
    assert reach[0] > 5 * reach[1]


@pytest.mark.parametrize("wrong", [{"raters": 0}, {"max_votes": 2}, {"seconds": float("nan")}, {"price_hour": -1.0}])
def test_impossible_jobs_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError):
        _job(**wrong)


def _campaign(warehouse: Warehouse) -> None:
    """Two raters, two days, two dimensions a task; one vote deleted, one task of 900 s, one rater paused in between."""
    people = [annotator_row("test", name) for name in ("ann", "bob")]
    tasks, votes = [], []
    for number in range(8):
        at = START + timedelta(days=number // 4, minutes=number)
        tasks.append({"task_id": f"t{number}", "campaign_id": "c", "pair_id": f"p{number}", "state": "done"})
        for dimension in ("overall", "visual_quality"):
            votes.append({"vote_id": f"v{number}{dimension}", "task_id": f"t{number}", "pair_id": f"p{number}",
                          "dimension": dimension, "annotator_id": people[number % 2]["annotator_id"], "label": "a",
                          "seconds": 900.0 if number == 2 else 10.0, "deleted": number == 0, "created_at": at,
                          "updated_at": at})
    warehouse.merge("campaigns", [{"campaign_id": "c", "name": "first", "task": "t2i"}])
    for table, rows in (("annotators", people), ("annotation_tasks", tasks), ("votes", votes)):
        warehouse.merge(table, rows)
    warehouse.merge("annotator_events", [{"event_id": "e", "annotator_id": people[1]["annotator_id"], "kind": "paused",
                                          "happened_at": START + timedelta(hours=12)}])


def test_pay_is_for_accepted_votes_and_capped_time(warehouse: Warehouse) -> None:
    _campaign(warehouse)
    days = {(row["rater"], row["day"]): (row["votes"], row["accepted"], row["seconds"]) for row in payroll(warehouse)}
    ann, bob = (annotator_row("test", name)["pseudonym"] for name in ("ann", "bob"))
    assert days == {(ann, "2026-02-01"): (4, 2, 120.0), (ann, "2026-02-02"): (4, 4, 20.0),
                    (bob, "2026-02-01"): (4, 4, 20.0), (bob, "2026-02-02"): (4, 0, 0.0)}
    assert totals(payroll(warehouse, "first"))["accepted"] == 10
    assert payroll(warehouse, "another") == []


def test_history_is_per_task_and_capped(warehouse: Warehouse) -> None:
    _campaign(warehouse)
    known = history(warehouse, "t2i", "c")
    # Ann's three tasks that count: 120 (of 900), 10, 10; Bob's four: 10 each.
    assert sorted(known.seconds) == pytest.approx([10.0, 140 / 3]) and list(known.days) == [4.0, 4.0]
    assert len(history(warehouse, "t2v").seconds) == 0
