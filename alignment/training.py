"""The loop of one alignment: update, watch, measure, keep the best, and go on after a kill as if nothing had happened.

Each step's draws follow from (seed, step), and a checkpoint holds the adapter, its average, the optimizer, the monitor
and the best adapter so far: a run that was killed anywhere ends with the same bytes. What is measured and kept is the
moving average of the adapter, as OneReward does (arXiv 2508.21066).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from alignment.held_out import HeldOut
from alignment.monitor import Monitor, Rules
from alignment.policy import Policy
from alignment.reward import Goal
from alignment.update import Reward, Rollout, Update, draw_rollout

Listener = Callable[[int, int, str], None]


class Algorithm(Protocol):
    """Flow-GRPO or ReFL."""

    def update(self, policy: Policy, reward: Reward, rollout: Rollout, optimizer: torch.optim.Optimizer) -> Update:
        """One step on one rollout."""
        ...


@dataclass(frozen=True)
class Schedule:
    """How long and how much: `average` is the decay of the moving average, 0 keeps the adapter itself."""

    steps: int
    prompts: int
    group: int
    learning_rate: float
    average: float
    measure_every: int
    seed: int


class Training:
    """One run; after `run`, `policy` holds the best adapter that the monitor allowed."""

    def __init__(self, policy: Policy, algorithm: Algorithm, reward: Reward, goals: Sequence[Goal], held_out: HeldOut,
                 schedule: Schedule, rules: Rules) -> None:
        self.policy, self._algorithm, self._reward, self._goals = policy, algorithm, reward, goals
        self._held_out, self._schedule, self._rules = held_out, schedule, rules
        self.monitor = Monitor(rules)
        self._parameters = list(policy.parameters())
        self._optimizer = torch.optim.AdamW(self._parameters, lr=schedule.learning_rate, betas=(0.9, 0.99),
                                            weight_decay=0.0)
        self._average = [parameter.detach().clone() for parameter in self._parameters]
        self._best = [parameter.detach().clone() for parameter in self._parameters]
        self._step = 0

    def run(self, checkpoint: Path, listen: Listener) -> None:
        """Train to the end or until the monitor stops, resuming from `checkpoint` where it exists."""
        if checkpoint.is_file():
            self._restore(checkpoint)
        else:
            self._measure()
        total = self._schedule.steps
        while self._step < total and not self.monitor.stopped:
            self._advance()
            if self._step % self._schedule.measure_every == 0 or self._step == total:
                self._measure()
                self._save(checkpoint)
            listen(self._step, total, f"reward {self._last('proxy/mean'):.3f}, held out {self._last_held_out():.3f}")
        with torch.no_grad():
            for parameter, value in zip(self._parameters, self._best, strict=True):
                parameter.copy_(value)

    def _last(self, name: str) -> float:
        return next(value for _, found, value in reversed(self.monitor.metrics) if found == name)

    def _last_held_out(self) -> float:
        return self.monitor.measured[-1]["proxy"]

    def _advance(self) -> None:
        schedule = self._schedule
        rollout = draw_rollout(self._goals, schedule.prompts, schedule.group, schedule.seed, self._step)
        update = self._algorithm.update(self.policy, self._reward, rollout, self._optimizer)
        self._step += 1
        decay = min(schedule.average, self._step / (10 + self._step))
        with torch.no_grad():
            for average, parameter in zip(self._average, self._parameters, strict=True):
                average.lerp_(parameter, 1.0 - decay)
        self.monitor.observe(self._step, update.rewards, update.scalars)

    def _measure(self) -> None:
        with _swapped(self._parameters, self._average):
            values = self._held_out.measure(self.policy)
        if self.monitor.measure(self._step, values):
            self._best = [value.clone() for value in self._average]

    def _save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        torch.save({"step": self._step, "parameters": [parameter.detach() for parameter in self._parameters],
                    "average": self._average, "best": self._best, "optimizer": self._optimizer.state_dict(),
                    "monitor": json.dumps(self.monitor.state())}, temporary)
        os.replace(temporary, path)

    def _restore(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        with torch.no_grad():
            for parameter, value in zip(self._parameters, state["parameters"], strict=True):
                parameter.copy_(value)
        self._average, self._best, self._step = state["average"], state["best"], int(state["step"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.monitor = Monitor.restore(self._rules, json.loads(state["monitor"]))


@contextmanager
def _swapped(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> Iterator[None]:
    """Within the block the parameters have these values."""
    kept = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, kept, strict=True):
                parameter.copy_(value)
