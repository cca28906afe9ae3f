"""One person's way through the open tasks of a campaign: what comes next, votes, flags, undo.

Everything is a row the moment it is given, so that closing the page, the server or the machine loses nothing, and the
same person goes on where they were. Votes go through votes.py like those of any back end: un-swapped, with every
revision; an undone vote stays as a deleted one. Flags are rows of events, the latest of a task counts.

The order is a hash of the person and the task: everybody sees the pairs in another order.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime

from annotation import votes
from annotation.backend import SHOWN_LABELS, ShownVote
from warehouse import Warehouse
from warehouse.errors import ConfigError, ConflictError, InvalidInputError, NotFoundError
from warehouse.hashing import canonical_json, content_id
from warehouse.records import Row, annotator_row
from warehouse.stage import Recorder

FLAGS = {
    "broken": "something in it is broken",
    "unsafe": "it is not fit to be seen",
    "cannot_judge": "it cannot be judged",
}
RATER_KIND = "voter"
_LONGEST_S = 3600.0
_TASKS = """
SELECT t.*, p.text AS prompt, p.condition_media_id, a.media_id AS media_a, b.media_id AS media_b, p.media_kind AS kind
FROM annotation_tasks t JOIN pairs r USING (pair_id) JOIN prompts p USING (prompt_id)
JOIN candidates a ON a.candidate_id = r.candidate_a JOIN candidates b ON b.candidate_id = r.candidate_b
WHERE t.campaign_id = ?
"""
_ANSWERED = """
SELECT v.task_id, max(v.updated_at) AS answered_at FROM votes v JOIN annotation_tasks t USING (task_id)
WHERE t.campaign_id = ? AND v.annotator_id = ? AND NOT v.deleted GROUP BY 1 ORDER BY answered_at, v.task_id
"""
_FLAGGED = """
SELECT kind, payload_json FROM events
WHERE kind IN ('flag', 'unflag') AND json_extract_string(payload_json, '$.annotator_id') = ? ORDER BY created_at
"""


@dataclass(frozen=True)
class Shown:
    """A task as the page gets it: `left` and `right` are media ids, still to be turned into links."""

    task_id: str
    prompt: str
    kind: str
    left: str
    right: str
    condition: str | None


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class Session:
    """A person (`rater`) before a campaign; one thread."""

    def __init__(self, warehouse: Warehouse, campaign_id: str, rater: str) -> None:
        campaigns = warehouse.rows("SELECT * FROM campaigns WHERE campaign_id = ?", [campaign_id])
        if not campaigns:
            raise NotFoundError(f"no campaign {campaign_id}", where=warehouse.url)
        if not rater.strip():
            raise ConfigError("a voter needs a name")
        self.warehouse, self.campaign, self.rater = warehouse, campaigns[0], rater
        self.annotator_id = str(annotator_row(RATER_KIND, rater)["annotator_id"])
        self.dimension = str(json.loads(self.campaign["dimensions_json"])[0])
        rows = warehouse.rows(_TASKS, [campaign_id])
        if not rows:
            raise ConfigError(
                f"nothing to compare in {self.campaign['name']!r}",
                hint="two files of one prompt are needed, by two generators where there are several",
            )
        self.tasks: dict[str, Row] = {
            row["task_id"]: row
            for row in sorted(rows, key=lambda row: content_id("voter order", rater, row["task_id"]))
        }
        answered = warehouse.rows(_ANSWERED, [campaign_id, self.annotator_id])
        self._history: list[str] = [row["task_id"] for row in answered]
        self._flagged = self._stored_flags()
        self._history += [name for name in self._flagged if name not in self._history]
        self._recorder = Recorder("try", "")
        self._published = votes.Published(
            source=f"campaign:{self.campaign['name']}",
            rater_kind=RATER_KIND,
            guideline_version=self.campaign["guideline_version"],
            dimensions=(self.dimension,),
            tasks=self.tasks,
        )

    def _stored_flags(self) -> set[str]:
        flagged: set[str] = set()
        for row in self.warehouse.rows(_FLAGGED, [self.annotator_id]):
            task_id = json.loads(row["payload_json"])["task_id"]
            if task_id in self.tasks:
                (flagged.add if row["kind"] == "flag" else flagged.discard)(task_id)
        return flagged

    @property
    def done(self) -> int:
        """Tasks voted on or flagged."""
        return len(self._history)

    def upcoming(self, count: int = 4) -> list[Shown]:
        """The next tasks, the first of which is to be voted on; none when all is done."""
        behind, ahead = set(self._history), []
        for task_id, row in self.tasks.items():
            if task_id not in behind:
                ahead.append(_shown(row))
            if len(ahead) == count:
                break
        return ahead

    def vote(self, task_id: str, label: str, seconds: float) -> None:
        """Keep an answer as shown; raises InvalidInputError for a label or time that cannot be."""
        if label not in SHOWN_LABELS or not math.isfinite(seconds) or seconds < 0:
            raise InvalidInputError(f"vote {label!r} after {seconds} s", hint=f"one of {', '.join(SHOWN_LABELS)}")
        self._open(task_id)
        self._store(task_id, label, min(seconds, _LONGEST_S))
        self._history.append(task_id)

    def flag(self, task_id: str, reason: str) -> None:
        """Set a task aside with a reason of FLAGS."""
        if reason not in FLAGS:
            raise InvalidInputError(f"unknown reason {reason!r}", hint=f"one of {', '.join(FLAGS)}")
        self._open(task_id)
        self._event(task_id, "flag", reason)
        self._flagged.add(task_id)
        self._history.append(task_id)

    def undo(self) -> str:
        """Take the last answer back; that task comes next again. Raises ConflictError at the beginning."""
        if not self._history:
            raise ConflictError("nothing to undo")
        task_id = self._history[-1]
        if task_id in self._flagged:
            self._event(task_id, "unflag", "")
            self._flagged.discard(task_id)
        else:
            self._store(task_id, "tie", None, deleted=True)
        self._history.pop()
        # First again among what is open: dictionaries keep their order of insertion.
        self.tasks = {task_id: self.tasks[task_id], **self.tasks}
        return task_id

    def close(self) -> None:
        """Mark answered tasks as done."""
        columns = "task_id, campaign_id, pair_id, item_kind, left_side, replica, gold, repeat_of, backend_ref"
        answered = [name for name in self._history if name not in self._flagged]
        rows = self.warehouse.rows(
            f"SELECT {columns}, label_config_id, run_id FROM annotation_tasks WHERE state = 'open' "
            "AND list_contains(?, task_id)", [answered],
        )
        self.warehouse.merge("annotation_tasks", [row | {"state": "done"} for row in rows])

    def _open(self, task_id: str) -> None:
        if task_id not in self.tasks:
            raise NotFoundError(f"no task {task_id!r} here")
        if task_id in self._history:
            raise ConflictError("this pair has been answered already", hint="undo takes the last answer back")

    def _store(self, task_id: str, label: str, seconds: float | None, deleted: bool = False) -> None:
        """Through votes.py; an earlier answer to the task keeps the time it was created at."""
        row = self.tasks[task_id]
        vote_id = content_id("vote", task_id, row["pair_id"], self.dimension, self.annotator_id)
        before = self.warehouse.rows("SELECT * FROM votes WHERE vote_id = ?", [vote_id])
        now = _now()
        if deleted:
            label = _as_shown(before[0]["label"], row["left_side"])
            seconds = before[0]["seconds"]
        given = ShownVote(
            task_id, row["pair_id"], self.dimension, self.rater, label, before[0]["created_at"] if before else now, now,
            seconds, deleted=deleted,
        )
        votes.store(self.warehouse, self._recorder, [given], self._published)

    def _event(self, task_id: str, kind: str, reason: str) -> None:
        now = _now()
        payload = {"task_id": task_id, "annotator_id": self.annotator_id, "reason": reason}
        event = {
            "event_id": content_id(kind, canonical_json(payload), now.isoformat()),
            "kind": kind,
            "payload_json": canonical_json(payload),
            "created_at": now,
        }
        with self.warehouse.commit(f"{kind} {task_id}"):
            self.warehouse.merge("annotators", [annotator_row(RATER_KIND, self.rater)])
            self.warehouse.merge("events", [event])


def _as_shown(label: str, left_side: str) -> str:
    if label not in ("a", "b"):
        return label
    return "left" if label == left_side else "right"


def _shown(row: Row) -> Shown:
    left, right = ("media_a", "media_b") if row["left_side"] == "a" else ("media_b", "media_a")
    return Shown(row["task_id"], row["prompt"], row["kind"], row[left], row[right], row["condition_media_id"])
