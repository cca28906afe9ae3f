"""Stage `items`: pass or fail about single candidates, per dimension, beside the votes on pairs.

One look at one candidate is cheaper than a comparison, people agree on it more (SoliReward, arXiv 2512.22170: alpha
0.49 against 0.35), and items that passed and failed can be paired whatever their prompts (cross_prompt.py). A back end
for items shows them and answers; tasks are rows of annotation_tasks of kind `item`, answers are votes with a
candidate and no pair, labelled pass or fail. Publishing and pulling are idempotent, as with pairs (campaign.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from pydantic import Field

from annotation import votes
from annotation.asking import Asking
from annotation.backend import ShownVote
from annotation.guideline import check_versions, guideline
from annotation.tasks import campaign_row
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import canonical_json, content_id
from warehouse.plugins import load_plugin
from warehouse.records import Row
from warehouse.stage import Receipt, Recorder, run_stage


@dataclass(frozen=True)
class ItemTask:
    """One showing of a candidate to one person: blind, as a Task of a pair is."""

    task_id: str
    candidate_id: str
    replica: int
    prompt: str
    media_id: str
    dimensions: tuple[str, ...]
    criteria: tuple[str, ...]
    condition_media_id: str | None = None
    sensitive: bool = False


@dataclass(frozen=True)
class ItemVote:
    """One answer: `label` pass or fail, times in UTC without a zone."""

    task_id: str
    dimension: str
    rater: str
    label: str
    created_at: datetime
    seconds: float | None = None
    deleted: bool = False


class ItemBackend(Protocol):
    """Where people, or simulated ones, judge items."""

    rater_kind: str

    def publish_items(self, tasks: Sequence[ItemTask]) -> list[str]:
        """References in the order of the tasks; publishing a task twice shows it once."""
        ...

    def pull_items(self) -> Sequence[ItemVote]:
        """All answers so far; repeats are allowed."""
        ...


class ItemConfig(Asking):
    """Candidates of a task, generator and source ("" = any), each shown to `votes_per_item` people; `limit` by hash."""

    votes_per_item: int = Field(default=3, ge=1)
    limit: int = Field(default=0, ge=0)

    def campaign_id(self) -> str:
        """The same campaign is the same config."""
        return content_id("item campaign", canonical_json(self.asked()))


_CANDIDATES = """
SELECT c.candidate_id, c.media_id, p.text AS prompt, p.condition_media_id,
  lower(coalesce(json_extract_string(p.tags_json, '$.sensitive'), '')) IN ('true', 'yes', '1') AS sensitive
FROM candidates c JOIN prompts p USING (prompt_id)
WHERE c.task = ? AND (? = '' OR c.generator_id = ?) AND (? = '' OR c.source = ?) AND c.media_id IS NOT NULL
ORDER BY md5(c.candidate_id || CAST(? AS VARCHAR)), c.candidate_id LIMIT ?
"""
_THERE = "SELECT task_id FROM annotation_tasks WHERE campaign_id = ?"
_PASS = {
    "overall": "Would you be content to get this for the prompt?",
    "text_alignment": "Does it show everything that the prompt says? Ignore how beautiful it is.",
    "visual_quality": "Is it clean, sharp and free of faults? Ignore what the prompt says.",
    "motion_quality": "Does it move smoothly, with objects that stay themselves?",
}


def _questions(config: ItemConfig) -> list[Row]:
    """Rows of the dimensions table; a question about one item has a text and versions of its own (`pass_overall`)."""
    words = {f"pass_{name}": text for name, text in (_PASS | config.criteria).items() if name in config.dimensions}
    return guideline(config.task, [f"pass_{name}" for name in config.dimensions], config.guideline_version, words)


def _tasks(config: ItemConfig, campaign_id: str, shown: Sequence[Row]) -> list[Row]:
    return [
        {
            "task_id": content_id("item task", campaign_id, row["candidate_id"], replica),
            "campaign_id": campaign_id,
            "candidate_id": row["candidate_id"],
            "pair_id": None,
            "item_kind": "item",
            "replica": replica,
            "gold": False,
            "state": "published",
        }
        for row in shown
        for replica in range(config.votes_per_item)
    ]


def source_of(name: str) -> str:
    """The source of a campaign's item votes."""
    return f"items:{name}"


def _shown(task: Row, row: Row, config: ItemConfig, words: tuple[str, ...]) -> ItemTask:
    return ItemTask(task["task_id"], task["candidate_id"], task["replica"], row["prompt"], row["media_id"],
                    config.dimensions, words, row["condition_media_id"], row["sensitive"])


def _collect(config: ItemConfig, warehouse: Warehouse, recorder: Recorder, backend: ItemBackend,
             planned: Sequence[Row]) -> None:
    """Pull and write votes; then tasks that were answered are done."""
    pulled = backend.pull_items()
    published = votes.Published(source_of(config.name), backend.rater_kind, config.guideline_version,
                                config.dimensions, {task["task_id"]: task for task in planned})
    given = [ShownVote(vote.task_id, "", vote.dimension, vote.rater, vote.label, vote.created_at, vote.created_at,
                       vote.seconds, deleted=vote.deleted) for vote in pulled]
    votes.store(warehouse, recorder, given, published)
    done = {vote.task_id for vote in pulled}
    rows = [task | {"state": "done"} for task in planned if task["task_id"] in done]
    warehouse.merge("annotation_tasks", rows, run_id=recorder.run_id)


def run(config: ItemConfig, warehouse: Warehouse) -> Receipt:
    """Publish and pull. Raises ConfigError where no candidate can be shown."""
    asked = _questions(config)
    params = [config.task, *[config.generator_id] * 2, *[config.source] * 2, config.seed, config.limit or 2**62]
    shown = warehouse.rows(_CANDIDATES, params)
    if not shown:
        raise ConfigError(f"no {config.task} candidates to judge", hint="generate or ingest candidates first")
    campaign_id = config.campaign_id()
    check_versions(warehouse, asked)

    def body(recorder: Recorder) -> None:
        backend: ItemBackend = load_plugin(config.backend)(warehouse, **config.backend_options)
        with warehouse.commit(f"items {config.name}"):
            created = {"created_at": datetime.now(UTC).replace(tzinfo=None)}
            campaign = campaign_row(campaign_id, config.asked(), config.votes_per_item) | created
            warehouse.merge("campaigns", [campaign], run_id=recorder.run_id)
            warehouse.merge("dimensions", asked, run_id=recorder.run_id)
        view = {row["candidate_id"]: row for row in shown}
        words = tuple(row["criteria"] for row in asked)
        planned = _tasks(config, campaign_id, shown)
        blind = [_shown(task, view[task["candidate_id"]], config, words) for task in planned]
        references = backend.publish_items(blind)
        planned = [task | {"backend_ref": reference} for task, reference in zip(planned, references, strict=True)]
        there = {row["task_id"] for row in warehouse.rows(_THERE, [campaign_id])}
        fresh = [task for task in planned if task["task_id"] not in there]
        recorder.count("tasks", warehouse.merge("annotation_tasks", fresh, run_id=recorder.run_id))
        _collect(config, warehouse, recorder, backend, planned)
        recorder.output("campaign_id", campaign_id)
        recorder.output("items", len(shown))

    listed = canonical_json([[row["candidate_id"], row["media_id"], row["prompt"]] for row in shown])
    return run_stage("items", config, warehouse, {"candidates": content_id("items", listed)}, body)
