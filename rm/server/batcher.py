"""Questions of many clients -> batches of one model.

One thread runs the model. While it works, questions gather; the next batch takes what is there, up to a limit, and
waits for more only when it would be small. Candidates of one prompt and reference share its prefix. A batch that fails
is asked again one by one, so that the fault is told to whom it belongs.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from rm.context import Frames
from rm.reward_model import PairItem, RewardModel
from rm.server.metrics import Metrics
from warehouse.errors import BackendError, InvalidInputError, RewardDanceError

GROUP = 4
"""Candidates that make reading their prefix apart worth its cost."""

Answer = float | RewardDanceError


class BusyError(BackendError):
    """Too much is waiting; `retry_after_s` says when to come again."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("the server is busy", hint=f"try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, eq=False)
class Question:
    """One candidate against one reference; `condition` is the picture that both start from."""

    prompt: str
    reference: Frames
    candidate: Frames
    task: str
    dimension: str
    condition: Frames | None = None

    def group(self) -> tuple[object, ...]:
        """What candidates must have in common to share a prefix."""
        start = None if self.condition is None else self.condition.key
        return self.task, self.dimension, self.prompt, self.reference.key, start


def score(model: RewardModel, questions: Sequence[Question]) -> list[Answer]:
    """P(candidate beats reference) of each, or its error: a batch that fails is asked one by one."""
    try:
        return _checked(_together(model, questions))
    except Exception as error:
        if len(questions) == 1:
            return [_named(error)]
        return [answer for question in questions for answer in score(model, [question])]


def _named(error: Exception) -> RewardDanceError:
    if isinstance(error, RewardDanceError):
        return error
    return BackendError(f"the model failed: {type(error).__name__}: {error}")


def _together(model: RewardModel, questions: Sequence[Question]) -> list[float]:
    groups: dict[object, list[int]] = {}
    for index, question in enumerate(questions):
        groups.setdefault(question.group(), []).append(index)
    found: dict[int, float] = {}
    alone: list[int] = []
    for members in groups.values():
        if len(members) < GROUP:
            alone += members
            continue
        first = questions[members[0]]
        scores = model.score_group(first.prompt, [first.reference], [questions[i].candidate for i in members],
                                   first.task, first.dimension, condition=first.condition)
        found |= zip(members, scores[0].tolist(), strict=True)
    items = [PairItem(q.prompt, q.reference, q.candidate, q.task, q.dimension, condition=q.condition)
             for q in (questions[i] for i in alone)]
    found |= zip(alone, model.score_pairs(items).tolist(), strict=True)
    return [found[index] for index in range(len(questions))]


def _checked(scores: Sequence[float]) -> list[Answer]:
    """Scores that are no numbers are errors."""
    return [value if np.isfinite(value) else InvalidInputError(f"the model's score is {value}") for value in scores]


class Batcher:
    """The queue in front of a model; every method but `score` belongs to one event loop."""

    def __init__(self, model: RewardModel, batch_items: int, wait_ms: float, queue_items: int,
                 metrics: Metrics) -> None:
        self._model, self._size, self._wait_s, self._limit = model, batch_items, wait_ms / 1000, queue_items
        self._metrics = metrics
        self._waiting: deque[tuple[Question, asyncio.Future[Answer]]] = deque()
        self._more = asyncio.Event()
        self._admitted, self._seconds_each = 0, 0.05
        self._thread = ThreadPoolExecutor(1, "reward-model")
        self._task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def room(self, items: int) -> Iterator[None]:
        """Places for so many items while the block runs; raises BusyError, or InvalidInputError for too many ever."""
        if items > self._limit:
            raise InvalidInputError(f"{items} items at once, at most {self._limit} are taken")
        if self._admitted + items > self._limit:
            raise BusyError(max(1, math.ceil(self._admitted * self._seconds_each)))
        self._admitted += items
        self._metrics.waiting.set(self._admitted)
        try:
            yield
        finally:
            self._admitted -= items
            self._metrics.waiting.set(self._admitted)

    async def ask(self, questions: Sequence[Question], timeout_s: float) -> list[Answer]:
        """The answers in order; what has none in time is an error, and is not scored any more."""
        if not questions:
            return []
        futures: list[asyncio.Future[Answer]] = [asyncio.get_running_loop().create_future() for _ in questions]
        self._waiting.extend(zip(questions, futures, strict=True))
        self._more.set()
        try:
            await asyncio.wait(futures, timeout=max(timeout_s, 0))
            return [future.result() if future.done() else BackendError(f"no score after {timeout_s:.3g} s")
                    for future in futures]
        finally:
            for future in futures:
                future.cancel()

    async def start(self) -> None:
        """Begin to work."""
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Finish the batch that is being scored, then let go."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._thread.shutdown()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._batch()
            if not batch:
                continue
            clock = time.perf_counter()
            answers = await loop.run_in_executor(self._thread, score, self._model, [question for question, _ in batch])
            self._measured(len(batch), time.perf_counter() - clock)
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    async def _batch(self) -> list[tuple[Question, asyncio.Future[Answer]]]:
        """What is waiting, once something is; a small batch waits a moment for company."""
        if not self._waiting:
            self._more.clear()
            await self._more.wait()
        if len(self._waiting) < self._size and self._wait_s:
            await asyncio.sleep(self._wait_s)
        taken = [self._waiting.popleft() for _ in range(min(self._size, len(self._waiting)))]
        return [(question, future) for question, future in taken if not future.done()]

    def _measured(self, items: int, seconds: float) -> None:
        self._seconds_each += 0.2 * (seconds / items - self._seconds_each)
        self._metrics.batch.observe(items)
        self._metrics.scoring.observe(seconds)
