"""What an annotation back end is to the rest of the house: tasks go out, votes come back.

A task is blind: opaque ids, the prompt and media ids, never a generator's name, nor whether the answer is known. A
back end speaks of left and right, as the rater saw them; un-swapping to candidates a and b is done in votes.py.

Left out on purpose: any particular back end (Label Studio, the simulated annotators are plug-ins `module:object`,
called with the warehouse and the campaign's `backend_options`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

SHOWN_LABELS = ("left", "right", "tie", "both_bad")


@dataclass(frozen=True)
class Task:
    """One showing of a pair; each replica of a pair is meant for another person.

    `dimensions` are asked one by one under `criteria` (same order); `wants_rationale` asks for a reason in words;
    `sensitive` wants a warning before the media.
    """

    task_id: str
    pair_id: str
    replica: int
    prompt: str
    left_media_id: str
    right_media_id: str
    condition_media_id: str | None
    dimensions: tuple[str, ...]
    criteria: tuple[str, ...]
    wants_rationale: bool
    sensitive: bool = False


@dataclass(frozen=True)
class ShownVote:
    """One answer as given: `label` is one of SHOWN_LABELS, times are UTC without a zone.

    `rationale` speaks of the winner and of nothing that depends on where it stood ("warmer and closer to the
    prompt"), so that it holds whichever side, and whichever image number, the winner gets later.
    """

    task_id: str
    pair_id: str
    dimension: str
    rater: str
    label: str
    created_at: datetime
    updated_at: datetime
    seconds: float | None = None
    rationale: str = ""
    deleted: bool = False


@dataclass(frozen=True)
class Pulled:
    """Votes created, edited or deleted since a cursor, and the cursor to ask with next time."""

    votes: tuple[ShownVote, ...]
    cursor: str


class Backend(Protocol):
    """A place where people, or simulated ones, answer tasks."""

    rater_kind: str

    def publish(self, tasks: Sequence[Task]) -> list[str]:
        """References in the order of the tasks; publishing a task twice shows it once."""
        ...

    def pull(self, since: str) -> Pulled:
        """What changed since a cursor of this back end; "" asks for everything. Repeats are allowed."""
        ...


@dataclass(frozen=True)
class PairView:
    """A pair ready to be shown: both media are here and differ; `sensitive` is its prompt's tag."""

    pair_id: str
    prompt: str
    media_a: str
    media_b: str
    condition_media_id: str | None
    sensitive: bool = False


@dataclass(frozen=True)
class GoldItem:
    """A pair whose answer is known: `label` speaks of candidates a and b."""

    pair_id: str
    dimension: str
    label: str
    explanation: str


class GoldSource(Protocol):
    """Who knows the answers of some pairs; a plug-in of the campaign, unknown to the back end."""

    def items(self, pairs: Sequence[PairView], dimensions: Sequence[str]) -> list[GoldItem]:
        """The pairs with a clear answer, and that answer."""
        ...
