"""Who is shown which task next.

Each task is one showing of a pair and wants one answer; the showings of a pair are for different people. Label Studio's
own queue cannot see that two tasks show the same pair, so the gateway deals the tasks out: first showings of all pairs
before second ones, in an order given by hash. A task that was dealt stays with its rater for half an hour.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from warehouse.hashing import content_id

LEASE_S = 1800.0


@dataclass(frozen=True)
class Showing:
    """A task on the server: its number there, the pair (or item) it shows, and which showing of that it is."""

    number: int
    pair_id: str
    replica: int


@dataclass
class Queue:
    """The tasks of one project, who answered or passed by which, and which are out.

    `touched` is every task that a rater was given: they may look at it and change their own answer later. `made` is
    their annotation of each task that they answered or passed by, in the order in which they did.
    """

    showings: dict[int, Showing] = field(default_factory=dict)
    answered: dict[int, set[int]] = field(default_factory=dict)
    passed: dict[int, set[int]] = field(default_factory=dict)
    leases: dict[int, tuple[int, float]] = field(default_factory=dict)
    touched: dict[int, set[int]] = field(default_factory=dict)
    made: dict[int, dict[int, int]] = field(default_factory=dict)
    _shown: set[tuple[int, int]] = field(default_factory=set)
    _done_at: dict[int, float] = field(default_factory=dict)
    _order: list[Showing] = field(default_factory=list)
    # All tasks before this place in the order are answered.
    _first: int = 0

    def load(self, showings: Iterable[Showing]) -> None:
        """Take in the tasks as they stand in the warehouse; what is known of answers and leases stays."""
        there = {showing.number: showing for showing in showings}
        if there != self.showings:
            self.showings, self._first = there, 0
            self._order = sorted(there.values(), key=lambda s: (s.replica, content_id("deal", s.number)))

    def hear(self, task: Mapping[str, Any], flagged: Mapping[int, bool], asked: float = math.inf) -> None:
        """What the server knew of a task when it was `asked`; what was done here since then is newer and stays.

        `flagged` tells by annotation id which are no answers but flags.
        """
        number = int(task["id"])
        if self._done_at.get(number, -math.inf) >= asked:
            return
        self.answered[number], self.passed[number], self._first = set(), set(), 0
        for item in task.get("annotations") or []:
            by = item["completed_by"]
            rater = by["id"] if isinstance(by, dict) else by
            none = item["was_cancelled"] or flagged.get(item["id"], False)
            (self.passed if none else self.answered)[number].add(rater)
            self.touched.setdefault(rater, set()).add(number)
            self.made.setdefault(rater, {})[number] = item["id"]

    def next(self, rater: int, now: float) -> int | None:
        """The rater's task that is still out, else the first that they may have; None where there is none."""
        mine = [number for number, (who, until) in self.leases.items() if who == rater and until > now]
        if mine:
            return mine[0]
        seen = self._pairs_of(rater)
        for showing in self._open():
            if self._free(showing.number, rater, now) and showing.pair_id not in seen:
                self._give(showing.number, rater, now)
                return showing.number
        return None

    def shown(self, number: int, rater: int) -> bool:
        """True where the rater was shown the task before; from now on they were."""
        if (number, rater) in self._shown:
            return True
        self._shown.add((number, rater))
        return False

    def ahead(self, count: int, now: float) -> list[int]:
        """The tasks that will be dealt next, to whoever comes."""
        free = (showing.number for showing in self._open()
                if self.leases.get(showing.number, (0, now))[1] <= now and not self.answered.get(showing.number))
        return list(itertools.islice(free, count))

    def _open(self) -> Iterator[Showing]:
        """Tasks in the order in which they are dealt, without the answered ones at its beginning."""
        while self._first < len(self._order) and self.answered.get(self._order[self._first].number):
            self._first += 1
        return itertools.islice(self._order, self._first, None)

    def claim(self, number: int, rater: int, now: float) -> bool:
        """True where the rater was given the task, or may have it now.

        After a restart of the gateway, pages that are open hold tasks of which it knows nothing any more.
        """
        if self.may_touch(number, rater):
            return True
        free = number in self.showings and self._free(number, rater, now)
        if free and self.showings[number].pair_id not in self._pairs_of(rater):
            self._give(number, rater, now)
            self.shown(number, rater)
            return True
        return False

    def drop(self, number: int) -> None:
        """The task is gone from the server: nobody is given it again."""
        self.showings.pop(number, None)
        self.leases.pop(number, None)
        self._order, self._first = [showing for showing in self._order if showing.number != number], 0

    def _give(self, number: int, rater: int, now: float) -> None:
        self.leases[number] = (rater, now + LEASE_S)
        self.touched.setdefault(rater, set()).add(number)

    def _pairs_of(self, rater: int) -> set[str]:
        return {self.showings[number].pair_id for number in self.touched.get(rater, ()) if number in self.showings}

    def _free(self, number: int, rater: int, now: float) -> bool:
        holder, until = self.leases.get(number, (rater, now))
        out = holder != rater and until > now
        return not out and not self.answered.get(number) and rater not in self.passed.get(number, ())

    def done(self, number: int, rater: int, passed: bool, annotation: int = 0, now: float = 0.0) -> None:
        """An answer came (or the task was passed by); the next call gives another task."""
        self._done_at[number] = now
        if annotation:
            self.made.setdefault(rater, {})[number] = annotation
        (self.passed if passed else self.answered).setdefault(number, set()).add(rater)
        if self.leases.get(number, (rater, 0.0))[0] == rater:
            self.leases.pop(number, None)

    def may_touch(self, number: int, rater: int) -> bool:
        """True where the rater was given the task."""
        return number in self.touched.get(rater, ())

    def left(self, rater: int) -> int:
        """How many answers are still wanted of this rater."""
        seen = self._pairs_of(rater)
        free = {s.pair_id for s in self._order if not self.answered.get(s.number) and s.pair_id not in seen}
        return len(free) + sum(who == rater for who, _ in self.leases.values())
