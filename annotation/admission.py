"""Who may vote on what: a qualification set per task and dimension, and a rater's standing after it.

A set is drawn from the known questions, least exposed first, another one for each rater and attempt. After each answer
the rater is told what was expected and why. Enough right answers (8 of 10 by default) admit; too many wrong ones
refuse as soon as the limit cannot be reached; a refused rater may try again with other questions, twice in all.

Everything is an annotator_event, so that a rater goes on where they were. `standing` follows from them: a pause
(consensus.py, quality.py) holds until somebody lifts it, and lifting it admits nobody.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from annotation.backend import GoldItem
from annotation.gold import exposure, rotated
from annotation.votes import unswap
from warehouse import Warehouse
from warehouse.errors import ConfigError, ConflictError, InvalidInputError
from warehouse.hashing import canonical_json, content_id
from warehouse.records import Row, annotator_row

_ANSWERS = ("left", "right", "tie", "both_bad")
_GOLD = """
SELECT g.pair_id, g.dimension, g.label, coalesce(g.explanation, '') AS explanation
FROM gold_items g JOIN pairs r USING (pair_id)
JOIN candidates a ON a.candidate_id = r.candidate_a JOIN candidates b ON b.candidate_id = r.candidate_b
WHERE r.task = ? AND g.dimension = ? AND a.media_id IS NOT NULL AND b.media_id IS NOT NULL ORDER BY g.pair_id
"""
_EVENTS = """
SELECT kind, detail_json FROM annotator_events WHERE annotator_id = ? AND task = ? AND dimension = ?
AND kind IN ('qualification_answer', 'admitted', 'refused') ORDER BY happened_at, event_id
"""
_HAPPENED = """
SELECT annotator_id, kind, task, dimension FROM annotator_events
WHERE kind IN ('admitted', 'refused', 'paused', 'resumed') ORDER BY happened_at, event_id
"""
# Kind, task and dimension of what happened to a rater; None is for all of them.
Happened = tuple[str, str | None, str | None]
Standing = Literal["", "admitted", "refused", "paused"]


class AdmissionRules(BaseModel):
    """`need` right answers of `questions` admit; `attempts` in all."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    questions: int = Field(default=10, ge=1)
    need: int = Field(default=8, ge=1)
    attempts: int = Field(default=2, ge=1)

    @model_validator(mode="after")
    def _reachable(self) -> AdmissionRules:
        if self.need > self.questions:
            raise ValueError(f"{self.need} right answers of {self.questions} questions cannot be reached")
        return self


@dataclass(frozen=True)
class Question:
    """A known pair as it is shown: candidate `left_side` (a or b) stands left."""

    pair_id: str
    left_side: str


@dataclass(frozen=True)
class Marked:
    """What a rater is told after an answer: `expected` as shown (left, right, tie, both_bad)."""

    right: bool
    expected: str
    explanation: str


def happened(warehouse: Warehouse) -> dict[str, list[Happened]]:
    """What happened to each rater, by annotator's id, oldest first."""
    found: dict[str, list[Happened]] = {}
    for row in warehouse.rows(_HAPPENED):
        found.setdefault(row["annotator_id"], []).append((row["kind"], row["task"], row["dimension"]))
    return found


def standing(events: Sequence[Happened], task: str, dimensions: Sequence[str]) -> Standing:
    """Of one rater: paused or refused in any of the dimensions, admitted to all, or "" where a test is still open."""
    each = {_standing(events, task, dimension) for dimension in dimensions}
    for worst in ("paused", "refused", ""):
        if worst in each:
            return worst
    return "admitted"


def _standing(events: Sequence[Happened], task: str, dimension: str) -> Standing:
    told: Standing = ""
    paused = False
    for kind, of_task, of_dimension in events:
        if of_task not in (None, task) or of_dimension not in (None, dimension):
            continue
        if kind in ("paused", "resumed"):
            paused = kind == "paused"
        else:
            told = "admitted" if kind == "admitted" else "refused"
    return "paused" if paused else told


def event_row(annotator_id: str, kind: str, detail: dict[str, Any], task: str | None, dimension: str | None) -> Row:
    """A row of annotator_events, now."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return {
        "event_id": content_id("annotator event", annotator_id, kind, task, dimension, canonical_json(detail)),
        "annotator_id": annotator_id,
        "kind": kind,
        "task": task,
        "dimension": dimension,
        "detail_json": canonical_json(detail),
        "happened_at": now,
    }


class Qualification:
    """One rater's test for one task and dimension; raises ConfigError where there are too few known questions."""

    def __init__(
        self, warehouse: Warehouse, rater_kind: str, rater: str, task: str, dimension: str, rules: AdmissionRules
    ) -> None:
        self.warehouse, self.task, self.dimension, self.rules = warehouse, task, dimension, rules
        self._person = annotator_row(rater_kind, rater)
        self.annotator_id = str(self._person["annotator_id"])
        self._answers: list[dict[str, Any]] = []
        self.attempt, self.result = 1, ""
        for row in warehouse.rows(_EVENTS, [self.annotator_id, task, dimension]):
            detail = json.loads(row["detail_json"])
            if row["kind"] == "qualification_answer":
                self._answers.append(detail)
            else:
                self.result, self.attempt = row["kind"], detail["attempt"]
        if self.result == "refused" and self.attempt < rules.attempts:
            self.result, self.attempt = "", self.attempt + 1
        self._items = {} if self.result else self._draw()

    def _draw(self) -> dict[str, GoldItem]:
        """This attempt's questions: those answered already, then others by rotation; none of an earlier attempt."""
        met = {answer["pair_id"]: answer["attempt"] for answer in self._answers}
        known = [GoldItem(**row) for row in self.warehouse.rows(_GOLD, [self.task, self.dimension])]
        usable = [item for item in known if met.get(item.pair_id, self.attempt) == self.attempt]
        if len(usable) < self.rules.questions:
            raise ConfigError(
                f"{len(usable)} questions with known answers for {self.task} {self.dimension}, "
                f"{self.rules.questions} are needed",
                hint="rewarddance annotate questions FILE adds some",
            )
        kept = dict.fromkeys(met, 1)
        seed = int(self.annotator_id[:8], 16) + self.attempt
        order = rotated(usable, exposure(self.warehouse), seed, kept)
        return {item.pair_id: item for item in order[: self.rules.questions]}

    @property
    def score(self) -> tuple[int, int]:
        """Right answers and answers of this attempt."""
        given = [answer["right"] for answer in self._answers if answer["attempt"] == self.attempt]
        return sum(given), len(given)

    def question(self) -> Question | None:
        """The next one, None when the result stands."""
        answered = {answer["pair_id"] for answer in self._answers}
        ahead = [pair_id for pair_id in self._items if pair_id not in answered]
        if self.result or not ahead:
            return None
        return Question(ahead[0], "ab"[int(content_id("qualification", self.annotator_id, ahead[0])[0], 16) % 2])

    def answer(self, label: str) -> Marked:
        """Mark the answer to `question()` and keep it; the last one that is needed decides."""
        asked = self.question()
        if asked is None:
            raise ConflictError(f"the qualification is over: {self.result}")
        if label not in _ANSWERS:
            raise InvalidInputError(f"unknown answer {label!r}", hint=f"one of {', '.join(_ANSWERS)}")
        item = self._items[asked.pair_id]
        right = unswap(label, asked.left_side) == item.label
        detail = {"attempt": self.attempt, "pair_id": asked.pair_id, "label": label, "right": right}
        self._answers.append(detail)
        self._decide()
        events = [self._event("qualification_answer", detail)]
        if self.result:
            hits, n = self.score
            events.append(self._event(self.result, {"attempt": self.attempt, "right": hits, "asked": n}))
        with self.warehouse.commit(f"qualification {self.annotator_id}"):
            self.warehouse.merge("annotators", [self._person])
            self.warehouse.merge("annotator_events", events)
        sides = {asked.left_side: "left", "ab".replace(asked.left_side, ""): "right"}
        return Marked(right, sides.get(item.label, item.label), item.explanation)

    def _event(self, kind: str, detail: dict[str, Any]) -> Row:
        return event_row(self.annotator_id, kind, detail, self.task, self.dimension)

    def _decide(self) -> None:
        hits, n = self.score
        if hits >= self.rules.need:
            self.result = "admitted"
        elif n - hits > self.rules.questions - self.rules.need:
            self.result = "refused"


def resume(warehouse: Warehouse, annotator_id: str, reason: str) -> None:
    """Let a paused rater vote again, for all tasks and dimensions."""
    now = datetime.now(UTC).isoformat()
    warehouse.merge("annotator_events", [event_row(annotator_id, "resumed", {"reason": reason, "at": now}, None, None)])
