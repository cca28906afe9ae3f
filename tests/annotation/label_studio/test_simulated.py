"""The simulated annotators vote through the real server's API: their votes arrive as they gave them."""

from __future__ import annotations

import pytest

from annotation import tasks
from annotation.guideline import guideline
from annotation.label_studio.sync import sync, totals
from simulation.annotators import SimulatedAnnotators
from tests.annotation.label_studio.campaigns import DIMENSIONS, PICTURES, Person, campaign, numbers, result
from tests.annotation.label_studio.conftest import NAMES, Studio
from warehouse import open_warehouse
from warehouse.records import annotator_row, generator_row

pytestmark = pytest.mark.label_studio


def test_simulated_annotators_vote_through_the_real_server(studio: Studio) -> None:
    generator = generator_row("secret-model-x simulated", "test", "1")["generator_id"]
    with open_warehouse(str(studio.root)) as warehouse:
        published = campaign(warehouse, "simulated", prompts=3, words=[spec.text() for spec in PICTURES[:3]])
        views = {view.pair_id: view for view in tasks.pair_views(warehouse, "t2i", generator, "")[0]}
        campaign_id = published.outputs["campaign_id"]
        rows = warehouse.rows("SELECT * FROM annotation_tasks WHERE campaign_id = ?", [campaign_id])
        asked = guideline("t2i", DIMENSIONS, 1)
        crowd = SimulatedAnnotators(warehouse, n_raters=len(NAMES), spammers=0, copiers=0)
        crowd.publish([tasks.blind_task(row, views[row["pair_id"]], asked, 0.0, 0) for row in rows])
        said = {(vote.task_id, vote.dimension): vote for vote in crowd.pull("").votes}
        people = dict(zip((rater.name for rater in crowd.raters), NAMES, strict=True))
        sides = {row["task_id"]: row["left_side"] for row in rows}
        expected = {}
        for task_id, number in numbers(warehouse, "simulated"):
            votes = [said[task_id, dimension] for dimension in DIMENSIONS]
            # Only the page's first question offers "both bad".
            shown = [votes[0].label, *("tie" if vote.label == "both_bad" else vote.label for vote in votes[1:])]
            name = people[votes[0].rater]
            Person(studio, name).answer(number, result(*shown), lead_time=votes[0].seconds)
            rater = annotator_row("person", f"{name}@rewarddance.local")["annotator_id"]
            for vote, answer in zip(votes, shown, strict=True):
                label = {"left": sides[task_id], "right": "ab".replace(sides[task_id], "")}.get(answer, answer)
                expected[task_id, vote.dimension] = (rater, label, votes[0].seconds)
        assert totals(sync(warehouse, "simulated"))["votes"] == len(expected) == 12
        stored = warehouse.rows("SELECT * FROM votes WHERE source = 'campaign:simulated'")
    assert {(row["task_id"], row["dimension"]): (row["annotator_id"], row["label"], row["seconds"])
            for row in stored} == expected
