"""Stage `items`: pass or fail about single candidates, per dimension, beside the votes on pairs.

One look at one candidate is cheaper than a comparison, people agree on it more (SoliReward, arXiv 2512.22170: alpha
0.49 against 0.35), and items that passed and failed can be paired whatever their prompts (cross_prompt.py). A back end
for items shows them and answers; tasks are rows of annotation_tasks of kind `item`, answers are votes with a
candidate and no pair, labelled pass or fail. Publishing and pulling are idempotent, as with pairs (campaign.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import Field

from annotation.guideline import check_versions, guideline
from annotation.tasks import campaign_row
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import canonical_json, content_id
from warehouse.plugins import load_plugin
from warehouse.records import ITEM_LABELS, Row, annotator_row, item_vote_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_CHUNK = 4000


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


class ItemConfig(StageConfig):
    """Candidates of a task, generator and source ("" = any), each shown to `votes_per_item` people; `limit` by hash."""

    name: str
    task: str = "t2i"
    backend: str
    backend_options: dict[str, Any] = Field(default_factory=dict)
    dimensions: tuple[str, ...] = ("overall",)
    criteria: dict[str, str] = Field(default_factory=dict)
    votes_per_item: int = Field(default=3, ge=1)
    generator_id: str = ""
    source: str = ""
    limit: int = Field(default=0, ge=0)
    seed: int = 0
    guideline_version: int = 1


_CANDIDATES = """
SELECT c.candidate_id, c.media_id, p.text AS prompt FROM candidates c JOIN prompts p USING (prompt_id)
WHERE c.task = ? AND (? = '' OR c.generator_id = ?) AND (? = '' OR c.source = ?) AND c.media_id IS NOT NULL
ORDER BY md5(c.candidate_id || CAST(? AS VARCHAR)), c.candidate_id LIMIT ?
"""
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
            "item_kind": "item",
            "replica": replica,
            "gold": False,
            "state": "published",
        }
        for row in shown
        for replica in range(config.votes_per_item)
    ]


def _fault(vote: ItemVote, tasks: Mapping[str, Row], dimensions: Sequence[str]) -> str:
    """Why a vote cannot be used, "" where it can."""
    if vote.task_id not in tasks:
        return "unknown_task"
    if vote.dimension not in dimensions:
        return "unknown_dimension"
    if vote.label not in ITEM_LABELS:
        return "unknown_label"
    return "" if vote.rater.strip() else "no_annotator"


def _store(config: ItemConfig, warehouse: Warehouse, recorder: Recorder, votes: Sequence[ItemVote],
           tasks: Mapping[str, Row], rater_kind: str) -> None:
    """Usable votes as rows, chunk by chunk; the rest are rejects."""
    people: dict[str, Row] = {}
    rows: list[Row] = []
    for vote in votes:
        reason = _fault(vote, tasks, config.dimensions)
        if reason:
            location = f"{vote.task_id}:{vote.dimension}:{vote.rater}"
            recorder.reject(source=f"items:{config.name}", location=location, reason=reason, detail=repr(vote.label))
            continue
        person = people.setdefault(vote.rater, annotator_row(rater_kind, vote.rater))
        rows.append(item_vote_row(vote.task_id, tasks[vote.task_id]["candidate_id"], vote.dimension,
                                  person["annotator_id"], vote.label, f"items:{config.name}", vote.created_at,
                                  seconds=vote.seconds, guideline_version=config.guideline_version)
                    | {"deleted": vote.deleted})
    recorder.count("votes", 0)
    for start in range(0, len(rows), _CHUNK):
        with warehouse.commit(f"items {config.name}"):
            warehouse.merge("annotators", people.values(), run_id=recorder.run_id)
            recorder.count("votes", warehouse.merge("votes", rows[start : start + _CHUNK], run_id=recorder.run_id))


def run(config: ItemConfig, warehouse: Warehouse) -> Receipt:
    """Publish and pull. Raises ConfigError where no candidate can be shown."""
    asked = _questions(config)
    params = [config.task, *[config.generator_id] * 2, *[config.source] * 2, config.seed, config.limit or 2**62]
    shown = warehouse.rows(_CANDIDATES, params)
    if not shown:
        raise ConfigError(f"no {config.task} candidates to judge", hint="generate or ingest candidates first")
    identity = {name: value for name, value in config.identity().items() if name != "reject_limit"}
    campaign_id = content_id("item campaign", canonical_json(identity))
    check_versions(warehouse, asked)

    def body(recorder: Recorder) -> None:
        backend: ItemBackend = load_plugin(config.backend)(warehouse, **config.backend_options)
        planned = _tasks(config, campaign_id, shown)
        view = {row["candidate_id"]: row for row in shown}
        words = tuple(row["criteria"] for row in asked)
        references = backend.publish_items([
            ItemTask(task["task_id"], task["candidate_id"], task["replica"], view[task["candidate_id"]]["prompt"],
                     view[task["candidate_id"]]["media_id"], config.dimensions, words) for task in planned])
        votes = backend.pull_items()
        with warehouse.commit(f"items {config.name}"):
            created = {"created_at": datetime.now(UTC).replace(tzinfo=None)}
            campaign = campaign_row(campaign_id, identity, config.votes_per_item) | created
            warehouse.merge("campaigns", [campaign], run_id=recorder.run_id)
            warehouse.merge("dimensions", asked, run_id=recorder.run_id)
            done = {vote.task_id for vote in votes}
            rows = [task | {"backend_ref": reference} | ({"state": "done"} if task["task_id"] in done else {})
                    for task, reference in zip(planned, references, strict=True)]
            recorder.count("tasks", warehouse.merge("annotation_tasks", rows, run_id=recorder.run_id))
        recorder.count("read", len(votes))
        _store(config, warehouse, recorder, votes, {task["task_id"]: task for task in planned}, backend.rater_kind)
        recorder.output("campaign_id", campaign_id)
        recorder.output("items", len(shown))

    listed = canonical_json([[row["candidate_id"], row["media_id"], row["prompt"]] for row in shown])
    return run_stage("items", config, warehouse, {"candidates": content_id("items", listed)}, body)
