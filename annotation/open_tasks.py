"""Stage `open_tasks`: pairs that nobody has voted on become open annotation tasks.

The tasks wait in the warehouse (state `open`, no back end yet) for whoever publishes them: the way in for somebody's
own pictures, which come without votes.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import Field

from annotation import tasks
from annotation.guideline import check_versions, guideline
from warehouse import Warehouse
from warehouse.hashing import canonical_json, content_id
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage


class OpenTaskConfig(StageConfig):
    """Pairs by task, generator and source of both candidates, and source of the pair ("" = any).

    Each is shown to `votes_per_pair` people.
    """

    name: str
    task: str = "t2i"
    dimensions: tuple[str, ...] = ("overall",)
    criteria: dict[str, str] = Field(default_factory=dict)
    votes_per_pair: int = Field(default=3, ge=1)
    generator_id: str = ""
    source: str = ""
    candidate_source: str = ""
    seed: int = 0
    guideline_version: int = 1


_VOTED = "SELECT DISTINCT pair_id FROM votes WHERE NOT coalesce(deleted, false)"


def run(config: OpenTaskConfig, warehouse: Warehouse) -> Receipt:
    """Write the campaign and its open tasks; pairs whose media are absent are counted and left out."""
    asked = guideline(config.task, config.dimensions, config.guideline_version, config.criteria)
    check_versions(warehouse, asked)
    filters = (config.generator_id, config.source, config.candidate_source)
    views, absent = tasks.pair_views(warehouse, config.task, *filters)
    voted = {row["pair_id"] for row in warehouse.rows(_VOTED)}
    waiting = [view for view in views if view.pair_id not in voted]
    identity = {name: value for name, value in config.identity().items() if name != "reject_limit"}
    campaign_id = content_id("open tasks", canonical_json(identity))

    def body(recorder: Recorder) -> None:
        planned = tasks.plan_tasks(campaign_id, waiting, (), config.votes_per_pair, 0.0, config.seed)
        there = {row["task_id"] for row in warehouse.rows("SELECT task_id FROM annotation_tasks")}
        fresh = [row for row in planned if row["task_id"] not in there]
        campaign = tasks.campaign_row(campaign_id, identity, config.votes_per_pair)
        with warehouse.commit(f"open tasks {config.name}"):
            created = {"created_at": datetime.now(UTC).replace(tzinfo=None)}
            warehouse.merge("campaigns", [campaign | created], run_id=recorder.run_id)
            warehouse.merge("dimensions", asked, run_id=recorder.run_id)
            recorder.count("tasks", warehouse.merge("annotation_tasks", fresh, run_id=recorder.run_id))
        recorder.count("read", len(views) + absent)
        recorder.count("media_absent", absent)
        recorder.count("already_voted", len(views) - len(waiting))
        recorder.output("campaign_id", campaign_id)
        recorder.output("tasks", len(planned))
        recorder.output("pairs", len(waiting))

    return run_stage("open_tasks", config, warehouse, {"pairs": tasks.pairs_digest(waiting)}, body)
