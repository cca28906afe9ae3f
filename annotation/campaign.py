"""Stage `campaign`: pairs go out to raters through a back end, votes come back into the warehouse.

Everything that decides what a rater sees (replicas, sides, gold items, who is asked for a reason) follows from the
config and the pairs by hash. Publishing is idempotent and the pull is a cursor poll; rows are merged by content id, so
that a run killed anywhere and repeated gives the same tasks and votes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from annotation import tasks, votes
from annotation.asking import Asking
from annotation.backend import Backend, GoldItem, GoldSource, PairView, Task
from annotation.gold import exposure, in_use, rotated
from annotation.guideline import check_versions, guideline
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import canonical_json, content_id
from warehouse.plugins import load_plugin
from warehouse.records import Row
from warehouse.stage import Receipt, Recorder, run_stage


class CampaignConfig(Asking):
    """Which pairs (by task, generator of both candidates, source of the pair) are asked about, how, and where.

    `gold_source` is a plug-in that knows some answers; without one the rows of gold_items are used. Replicas of a
    pair are `votes_per_pair`; `gold_share` is the share of tasks with a known answer, `rationale_share` the share of
    tasks that ask for a reason, `repeat_share` the share asked once more.
    """

    votes_per_pair: int = Field(default=3, ge=1)
    gold_share: float = Field(default=0.0, ge=0.0, lt=1.0)
    gold_source: str = ""
    gold_options: dict[str, Any] = Field(default_factory=dict)
    rationale_share: float = Field(default=0.0, ge=0.0, le=1.0)
    repeat_share: float = Field(default=0.0, ge=0.0, le=0.5)

    def campaign_id(self) -> str:
        """The same campaign is the same config."""
        return content_id("campaign", canonical_json(self.asked()))


_GOLD = "SELECT pair_id, dimension, label, explanation FROM gold_items ORDER BY pair_id, dimension"


def _stored_gold(config: CampaignConfig, warehouse: Warehouse, views: Sequence[PairView]) -> list[GoldItem]:
    """Rows of gold_items about these pairs and dimensions; none where they are not asked for."""
    if config.gold_share == 0.0 or config.gold_source:
        return []
    shown = {view.pair_id for view in views}
    stored = [GoldItem(**row) for row in warehouse.rows(_GOLD)]
    return [item for item in stored if item.pair_id in shown and item.dimension in config.dimensions]


def _made_gold(config: CampaignConfig, warehouse: Warehouse, views: Sequence[PairView]) -> list[GoldItem]:
    """What the gold plug-in knows about these pairs."""
    if config.gold_share == 0.0 or not config.gold_source:
        return []
    source: GoldSource = load_plugin(config.gold_source)(warehouse, **config.gold_options)
    return source.items(views, config.dimensions)


def _added(warehouse: Warehouse, campaign_id: str) -> list[Row]:
    """Tasks that were added to a campaign after its plan (extra_votes.py), in a fixed order."""
    query = "SELECT * FROM annotation_tasks WHERE campaign_id = ? AND item_kind = 'extra' ORDER BY task_id"
    return warehouse.rows(query, [campaign_id])


def _publish(
    config: CampaignConfig, warehouse: Warehouse, recorder: Recorder, backend: Backend, planned: Sequence[Row],
    shown: Mapping[str, PairView], asked: Sequence[Row],
) -> None:
    """Show every task and write the rows that are not there yet, with the back end's references."""
    blind: list[Task] = [
        tasks.blind_task(row, shown[row["pair_id"]], asked, config.rationale_share, config.seed) for row in planned
    ]
    references = backend.publish(blind)
    query = "SELECT task_id, state FROM annotation_tasks WHERE campaign_id = ?"
    there = {row["task_id"]: row["state"] for row in warehouse.rows(query, [config.campaign_id()])}
    fresh = [
        row | {"backend_ref": reference, "state": "published"}
        for row, reference in zip(planned, references, strict=True)
        if row["task_id"] not in there or there[row["task_id"]] == "open"
    ]
    recorder.count("tasks", warehouse.merge("annotation_tasks", fresh, run_id=recorder.run_id))


def _collect(
    config: CampaignConfig, warehouse: Warehouse, recorder: Recorder, backend: Backend, planned: Sequence[Row]
) -> None:
    """Pull, validate and write votes, then close the answered tasks and move the cursor, in this order."""
    name = f"votes:{config.campaign_id()}"
    stored = warehouse.rows("SELECT value FROM watermarks WHERE name = ?", [name])
    pulled = backend.pull(stored[0]["value"] if stored else "")
    published = votes.Published(
        source=f"campaign:{config.name}",
        rater_kind=backend.rater_kind,
        guideline_version=config.guideline_version,
        dimensions=config.dimensions,
        tasks={row["task_id"]: row for row in planned},
    )
    votes.store(warehouse, recorder, pulled.votes, published)
    with warehouse.commit(f"campaign {config.name}"):
        answered = warehouse.rows(_ANSWERED, [config.campaign_id(), len(config.dimensions)])
        warehouse.merge("annotation_tasks", [row | {"state": "done"} for row in answered])
        cursor = {"name": name, "value": pulled.cursor, "updated_at": datetime.now(UTC).replace(tzinfo=None)}
        warehouse.merge("watermarks", [cursor], run_id=recorder.run_id)


_ANSWERED = """
SELECT * FROM annotation_tasks WHERE campaign_id = ? AND state = 'published' AND task_id IN (
    SELECT task_id FROM votes WHERE NOT deleted GROUP BY task_id HAVING count(DISTINCT dimension) = ?)
"""
_TOTALS = """
SELECT count(*) AS votes, count(DISTINCT v.annotator_id) AS annotators FROM votes v
JOIN annotation_tasks t USING (task_id) WHERE t.campaign_id = ? AND NOT v.deleted
"""


def run(config: CampaignConfig, warehouse: Warehouse) -> Receipt:
    """Publish and pull. Raises ConfigError where no pair can be shown or a plug-in does not load."""
    asked = guideline(config.task, config.dimensions, config.guideline_version, config.criteria)
    check_versions(warehouse, asked)
    views, absent = tasks.pair_views(warehouse, config.task, config.generator_id, config.source)
    if not views:
        raise ConfigError(f"campaign {config.name!r} has no {config.task} pairs to show", hint="run pairing first")
    campaign_id = config.campaign_id()
    make_backend = load_plugin(config.backend)
    stored = _stored_gold(config, warehouse, views)
    known = content_id("gold", canonical_json([astuple(item) for item in stored]))
    added = _added(warehouse, campaign_id)
    inputs = {"pairs": tasks.pairs_digest(views), "gold": known}
    if added:
        inputs["added"] = content_id("added tasks", *(row["task_id"] for row in added))

    def body(recorder: Recorder) -> None:
        backend: Backend = make_backend(warehouse, **config.backend_options)
        made = _made_gold(config, warehouse, views)
        met, kept = exposure(warehouse, campaign_id), in_use(warehouse, campaign_id)
        gold = rotated([*stored, *made], met, config.seed, kept)
        planned = tasks.plan_tasks(
            campaign_id, views, gold, config.votes_per_pair, config.gold_share, config.seed, config.repeat_share
        )
        planned += added
        row = tasks.campaign_row(campaign_id, config.asked(), config.votes_per_pair)
        with warehouse.commit(f"campaign {config.name}"):
            created = {"created_at": datetime.now(UTC).replace(tzinfo=None)}
            warehouse.merge("campaigns", [row | created], run_id=recorder.run_id)
            warehouse.merge("dimensions", asked, run_id=recorder.run_id)
            used = {row["pair_id"] for row in planned if row["gold"]}
            known_rows = [asdict(item) | {"source": config.gold_source} for item in made if item.pair_id in used]
            warehouse.merge("gold_items", known_rows, run_id=recorder.run_id)
        recorder.count("media_absent", absent)
        _publish(config, warehouse, recorder, backend, planned, {view.pair_id: view for view in views}, asked)
        _collect(config, warehouse, recorder, backend, planned)
        totals = warehouse.rows(_TOTALS, [campaign_id])[0]
        recorder.output("campaign_id", campaign_id)
        recorder.output("votes", totals["votes"])
        recorder.output("annotators", totals["annotators"])
        recorder.output("tasks", len(planned))
        recorder.output("gold_tasks", sum(row["gold"] for row in planned))
        recorder.output("pairs", len(views))

    return run_stage("campaign", config, warehouse, inputs, body)
