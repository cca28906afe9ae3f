"""Label Studio's annotations -> votes, flags, skips and faults.

Of several annotations of one person on one task the latest usable one counts. A vote that is stored and has no such
annotation any more was deleted (or turned into a skip or a flag): Label Studio tells of deletions only by silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from annotation.backend import ShownVote
from annotation.label_studio.labels import BRUSH, Answer, read_answer
from annotation.votes import unswap
from warehouse.hashing import canonical_json
from warehouse.records import Row, annotator_row

RATER_KIND = "person"
_MOMENTS = timedelta(seconds=1)
Controls = Mapping[str, frozenset[str] | None]


@dataclass(frozen=True)
class Note:
    """Something said besides votes: `kind` is skip, flag (`reason` says which) or regions (`detail_json`)."""

    kind: str
    annotation: int
    task_id: str
    rater: str
    reason: str
    happened_at: datetime
    detail_json: str = ""


@dataclass(frozen=True)
class Fault:
    """An annotation, or a task, that is not as it was published."""

    annotation: int
    task: int
    reason: str
    detail: str


@dataclass(frozen=True)
class Stored:
    """What the warehouse has of a page of tasks: rows of annotation_tasks by task id, and all votes on them."""

    tasks: Mapping[str, Row] = field(default_factory=dict)
    votes: Sequence[Row] = ()

    def standing(self) -> dict[str, list[Row]]:
        """The votes that count now, by task id."""
        found: dict[str, list[Row]] = {}
        for vote in self.votes:
            if not vote["deleted"]:
                found.setdefault(vote["task_id"], []).append(vote)
        return found


@dataclass
class Heard:
    """What one page of a poll said, in the server's order, and `stored`: what was known of its tasks before.

    `edited` and `gone` are projects that are not as they were published, and `cursor` where to go on after this page.
    """

    stored: Stored = Stored()
    votes: list[ShownVote] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    edited: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    cursor: str = ""


def moment(text: str) -> datetime:
    """A UTC time of the server, without zone."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=None)


def stamp(time: datetime) -> str:
    """A time without zone as the server wants it: a filter without microseconds makes it answer 500."""
    return f"{time.isoformat(timespec='microseconds')}Z"


def hear(tasks: Iterable[Mapping[str, Any]], stored: Stored, controls: Controls, people: Mapping[int, str],
         heard: Heard) -> None:
    """Add what server tasks (with annotations) say to `heard`; `people` names users."""
    standing_votes = stored.standing()
    asks_regions = any(name.startswith(BRUSH) for name in controls)
    names = {annotator_row(RATER_KIND, name)["annotator_id"]: name for name in people.values()}
    for task in tasks:
        row = stored.tasks.get(str(task["data"].get("ref", "")))
        annotations = sorted(task.get("annotations") or [], key=lambda item: (item["updated_at"], item["id"]))
        if row is None:
            heard.faults += [_fault(item, task, "unknown_task") for item in annotations]
            continue
        latest: dict[str, tuple[Mapping[str, Any], Answer]] = {}
        for item in annotations:
            answer = Answer({}) if item["was_cancelled"] else read_answer(item["result"] or [], controls)
            rater = _name(item, people)
            if answer.fault or not rater:
                heard.faults.append(_fault(item, task, answer.fault or "no_annotator"))
            else:
                latest[rater] = (item, answer)
        before = standing_votes.get(row["task_id"], ())
        for rater, (item, answer) in latest.items():
            _tell(row, rater, item, answer, before, asks_regions, heard)
        standing = {rater for rater, (_, answer) in latest.items() if answer.labels}
        heard.votes += _gone(row, before, standing, names, moment(task["updated_at"]))


def _name(item: Mapping[str, Any], people: Mapping[int, str]) -> str:
    by = item["completed_by"]
    number = by["id"] if isinstance(by, dict) else by
    return "" if number is None else people.get(number, f"user {number}")


def _fault(item: Mapping[str, Any], task: Mapping[str, Any], reason: str) -> Fault:
    return Fault(item["id"], task["id"], reason, f"result {str(item['result'])[:300]}, changed {item['updated_at']}")


def _tell(row: Row, rater: str, item: Mapping[str, Any], answer: Answer, stored: Sequence[Row], asks_regions: bool,
          heard: Heard) -> None:
    created, updated = moment(item["created_at"]), moment(item["updated_at"])
    if not answer.labels:
        kind = "flag" if answer.flag else "skip"
        heard.notes.append(Note(kind, item["id"], row["task_id"], rater, answer.flag, updated))
        return
    by = annotator_row(RATER_KIND, rater)["annotator_id"]
    mine = {vote["dimension"]: vote for vote in stored if vote["annotator_id"] == by}
    for dimension, label in answer.labels.items():
        changed = _changed(created, updated, mine.get(dimension), unswap(label, row["left_side"]))
        heard.votes.append(ShownVote(row["task_id"], row["pair_id"] or "", dimension, rater, label, created, changed,
                                     item["lead_time"], answer.rationale))
    if answer.regions or (asks_regions and updated - created >= _MOMENTS):
        # An edit that takes the last region away is told too: the latest word of a person on a task counts.
        painted = [{"candidate": unswap(region.side, row["left_side"]), "width_px": region.width_px,
                    "height_px": region.height_px, "rle": region.rle} for region in answer.regions]
        heard.notes.append(Note("regions", item["id"], row["task_id"], rater, "", updated, canonical_json(painted)))


def _changed(created: datetime, updated: datetime, stored: Row | None, label: str) -> datetime:
    """When a vote changed last. The server writes a new annotation twice within moments; that is no edit."""
    if updated - created >= _MOMENTS:
        return updated
    if stored is None:
        return created
    same: datetime = stored["updated_at"]
    return same if stored["label"] == label else updated


def _gone(row: Row, stored: Sequence[Row], standing: set[str], names: Mapping[str, str],
          when: datetime) -> list[ShownVote]:
    """Stored votes of people (`names` by annotator's id) who have no vote on this task any more, as deleted votes."""
    gone = []
    for vote in stored:
        rater = names.get(vote["annotator_id"])
        if rater is not None and rater not in standing:
            shown = vote["label"]
            if shown in ("a", "b"):
                shown = "left" if shown == row["left_side"] else "right"
            gone.append(ShownVote(row["task_id"], row["pair_id"] or "", vote["dimension"], rater, shown,
                                  vote["created_at"], when, vote["seconds"], deleted=True))
    return gone
