"""Votes as they come -> rows: validated against the tasks that were published, un-swapped, with every revision kept.

A vote on an item names no pair ("") and no side. A back end is never trusted (Label Studio accepts any label for any
task): what names no known task, pair, dimension, label or rater is a reject with its reason. Where one person answered
the same question twice the later answer counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from annotation.backend import SHOWN_LABELS, ShownVote
from warehouse import Warehouse
from warehouse.hashing import content_id
from warehouse.records import ITEM_LABELS, Row, annotator_row, item_vote_row, rationale_row, vote_row
from warehouse.stage import Recorder

_CHUNK = 4000


@dataclass(frozen=True)
class Published:
    """What votes are held against: task rows by id, and how the campaign asked."""

    source: str
    rater_kind: str
    guideline_version: int
    dimensions: tuple[str, ...]
    tasks: Mapping[str, Row]


def unswap(label: str, left_side: str) -> str:
    """`left` or `right` to the candidate that stood there; ties and both-bad stay."""
    if label not in ("left", "right"):
        return label
    return left_side if label == "left" else "ab".replace(left_side, "")


def fault(vote: ShownVote, published: Published, pairs: frozenset[str]) -> str:
    """Why a vote cannot be used, "" where it can."""
    if vote.pair_id not in pairs:
        return "unknown_pair"
    if vote.task_id not in published.tasks:
        return "unknown_task"
    task = published.tasks[vote.task_id]
    if (task["pair_id"] or "") != vote.pair_id:
        return "wrong_pair"
    if vote.dimension not in published.dimensions:
        return "unknown_dimension"
    if vote.label not in (ITEM_LABELS if task["item_kind"] == "item" else SHOWN_LABELS):
        return "unknown_label"
    return "" if vote.rater.strip() else "no_annotator"


def _checked(votes: Sequence[ShownVote], published: Published, recorder: Recorder) -> list[ShownVote]:
    """Usable votes, the latest of each person and question, in a fixed order."""
    pairs = frozenset(row["pair_id"] or "" for row in published.tasks.values())
    latest: dict[tuple[str, str, str], ShownVote] = {}
    for vote in votes:
        reason = fault(vote, published, pairs)
        if reason:
            location = f"{vote.task_id}:{vote.dimension}:{vote.rater}"
            detail = f"pair {vote.pair_id}, label {vote.label!r}"
            recorder.reject(source=published.source, location=location, reason=reason, detail=detail)
            continue
        key = (vote.task_id, vote.dimension, vote.rater)
        if key not in latest or latest[key].updated_at <= vote.updated_at:
            recorder.count("superseded", int(key in latest))
            latest[key] = vote
        else:
            recorder.count("superseded")
    return [latest[key] for key in sorted(latest)]


def vote_rows(vote: ShownVote, published: Published) -> tuple[Row, Row, Row, Row | None]:
    """Rows of one usable vote: annotator, vote, revision, and the rationale where there is one."""
    task = published.tasks[vote.task_id]
    annotator = annotator_row(published.rater_kind, vote.rater)
    if task["item_kind"] == "item":
        row, rationale = _item_row(vote, task, annotator["annotator_id"], published), None
    else:
        row, rationale = _pair_row(vote, task, annotator["annotator_id"], published)
    row |= {"updated_at": vote.updated_at, "deleted": vote.deleted}
    return annotator, row, _revision(row), rationale


def _item_row(vote: ShownVote, task: Row, rater: str, published: Published) -> Row:
    row = item_vote_row(vote.task_id, task["candidate_id"], vote.dimension, rater, vote.label, published.source,
                        vote.created_at, seconds=vote.seconds, guideline_version=published.guideline_version)
    return row | {"label_config_id": task.get("label_config_id"), "rationale_id": None}


def _pair_row(vote: ShownVote, task: Row, rater: str, published: Published) -> tuple[Row, Row | None]:
    label, text = unswap(vote.label, task["left_side"]), vote.rationale.strip()
    rationale = None
    if text:
        rationale = rationale_row(vote.pair_id, vote.dimension, label, text, published.rater_kind, rater)
    row = vote_row(
        vote.task_id,
        vote.pair_id,
        vote.dimension,
        rater,
        label,
        published.source,
        vote.created_at,
        left_side=task["left_side"],
        seconds=vote.seconds,
        guideline_version=published.guideline_version,
        label_config_id=task.get("label_config_id"),
        rationale_id=rationale["rationale_id"] if rationale else None,
    )
    return row, rationale


def _revision(row: Row) -> Row:
    action = "deleted" if row["deleted"] else "edited" if row["updated_at"] > row["created_at"] else "created"
    return {
        "revision_id": content_id("revision", row["vote_id"], action, row["label"], row["updated_at"].isoformat()),
        "vote_id": row["vote_id"],
        "action": action,
        "label": row["label"],
        "happened_at": row["updated_at"],
    }


def _chunks(votes: Sequence[ShownVote]) -> Iterator[Sequence[ShownVote]]:
    for start in range(0, len(votes), _CHUNK):
        yield votes[start : start + _CHUNK]


def store(warehouse: Warehouse, recorder: Recorder, votes: Sequence[ShownVote], published: Published) -> None:
    """Write usable votes chunk by chunk, each a whole commit; counts `votes` (new), `superseded`, `rationales`."""
    for name in ("votes", "superseded", "rationales"):
        recorder.count(name, 0)
    recorder.count("read", len(votes))
    usable, done = _checked(votes, published, recorder), 0
    for chunk in _chunks(usable):
        annotators, rows, revisions, rationales = zip(*(vote_rows(vote, published) for vote in chunk), strict=True)
        with warehouse.commit(f"votes {published.source}"):
            warehouse.merge("annotators", annotators, run_id=recorder.run_id)
            given = [row for row in rationales if row is not None]
            recorder.count("rationales", warehouse.merge("rationales", given, run_id=recorder.run_id))
            recorder.count("votes", warehouse.merge("votes", rows, run_id=recorder.run_id))
            warehouse.merge("vote_revisions", revisions, run_id=recorder.run_id)
        done += len(chunk)
        recorder.progress(done, len(usable), "votes")
