"""Stage `extra_votes`: one more vote where raters disagree, and an expert where that did not help.

After the answers of a campaign came in, each pair is judged by stopping.py, by its least certain dimension. Doubtful
pairs get one more task of the same campaign, which the next run of the campaign publishes; pairs that had all their
votes go to the campaign's adjudication: a campaign of its own with one task a pair, for an expert (`rewarddance
annotate vote`). Pairs that still wait for an answer are left alone. Run again after each round, until nothing is added.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from annotation.election import Choice, Election, read_election
from annotation.stopping import StoppingRules, certainty_of, judge
from annotation.tasks import campaign_row, task_row
from warehouse import Warehouse
from warehouse.errors import NotFoundError
from warehouse.hashing import canonical_json, content_id
from warehouse.records import Row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage


class ExtraVoteConfig(StageConfig):
    """Which campaign, and the rules of stopping (field `rules`)."""

    campaign_id: str
    rules: StoppingRules = StoppingRules()


_TASKS = "SELECT task_id, pair_id, replica, gold, repeat_of, state FROM annotation_tasks WHERE campaign_id = ?"


def adjudication_id(campaign_id: str) -> str:
    """The campaign of a campaign's disputed pairs."""
    return content_id("adjudication", campaign_id)


def _waiting(tasks: Sequence[Row]) -> set[str]:
    """Pairs with a plain task that nobody has answered yet."""
    return {row["pair_id"] for row in tasks if not row["gold"] and row["repeat_of"] is None and row["state"] != "done"}


def _certainties(election: Election) -> tuple[dict[str, float], dict[str, int]]:
    """For each pair, the certainty of its least certain dimension, and the fewest votes of a dimension."""
    certain: dict[str, float] = {}
    given: dict[str, int] = {}
    for part in election.parts.values():
        votes = part.only(~part.gold)
        counts = votes.counts().sum(axis=1).tolist()
        for name, value, count in zip(votes.pairs.to_pylist(), certainty_of(votes).tolist(), counts, strict=True):
            certain[name] = min(certain.get(name, 1.0), value)
            given[name] = min(given.get(name, count), count)
    return certain, given


def _seed(campaign: Mapping[str, str]) -> int:
    return int(json.loads(campaign["config_json"]).get("seed", 0))


def _adjudication(campaign: Row, pair_ids: Sequence[str]) -> tuple[Row, list[Row]]:
    """The campaign of disputed pairs and its tasks."""
    own = adjudication_id(campaign["campaign_id"])
    identity = {
        "name": f"{campaign['name']} adjudication",
        "task": campaign["task"],
        "dimensions": json.loads(campaign["dimensions_json"]),
        "guideline_version": campaign["guideline_version"],
        "adjudicates": campaign["campaign_id"],
    }
    tasks = [task_row(own, pair_id, 0, False, _seed(campaign)) for pair_id in pair_ids]
    row = campaign_row(own, identity, 1)
    return row, [task | {"item_kind": "adjudication"} for task in tasks]


def _next_tasks(campaign: Row, tasks: Sequence[Row], pair_ids: Sequence[str]) -> list[Row]:
    """One more task of each pair, numbered after those that it has."""
    last: dict[str, int] = {}
    for row in tasks:
        last[row["pair_id"]] = max(last.get(row["pair_id"], 0), row["replica"])
    made = [task_row(campaign["campaign_id"], name, last[name] + 1, False, _seed(campaign)) for name in pair_ids]
    return [task | {"item_kind": "extra"} for task in made]


def run(config: ExtraVoteConfig, warehouse: Warehouse) -> Receipt:
    """Add tasks. Raises NotFoundError for an unknown campaign."""
    campaigns = warehouse.rows("SELECT * FROM campaigns WHERE campaign_id = ?", [config.campaign_id])
    if not campaigns:
        raise NotFoundError(f"no campaign {config.campaign_id!r}", hint='rewarddance sql "SELECT * FROM campaigns"')
    tasks = warehouse.rows(_TASKS, [config.campaign_id])
    election = read_election(warehouse, Choice(campaign_ids=(config.campaign_id,)))
    inputs = {
        "votes": election.digest,
        "tasks": content_id("tasks", canonical_json(sorted([row["task_id"], row["state"]] for row in tasks))),
    }

    def body(recorder: Recorder) -> None:
        certain, given = _certainties(election)
        waiting = _waiting(tasks)
        names = sorted(set(certain) - waiting)
        likely = np.array([certain[name] for name in names], np.float64)
        counts = np.array([given[name] for name in names], np.int64)
        verdict = judge(likely, counts, config.rules, sum(row["state"] == "done" for row in tasks))
        more = _next_tasks(campaigns[0], tasks, [names[index] for index in verdict.more])
        expert, disputed = _adjudication(campaigns[0], [names[index] for index in verdict.disputed])
        with warehouse.commit(f"extra votes {campaigns[0]['name']}"):
            if disputed:
                created = {"created_at": datetime.now(UTC).replace(tzinfo=None)}
                warehouse.merge("campaigns", [expert | created], run_id=recorder.run_id)
            known = {row["task_id"] for row in warehouse.rows(_TASKS, [expert["campaign_id"]])}
            fresh = [row for row in disputed if row["task_id"] not in known]
            recorder.count("extra", warehouse.merge("annotation_tasks", more, run_id=recorder.run_id))
            recorder.count("adjudication", warehouse.merge("annotation_tasks", fresh, run_id=recorder.run_id))
        recorder.count("read", election.votes)
        recorder.output("adjudication_id", expert["campaign_id"] if disputed else None)
        recorder.output("disputed", len(disputed))
        recorder.output("settled", len(names) - len(more) - len(disputed))
        recorder.output("waiting", len(waiting))

    return run_stage("extra_votes", config, warehouse, inputs, body)
