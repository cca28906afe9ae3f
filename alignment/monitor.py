"""Watching a reinforcement run for reward hacking, and choosing its best checkpoint.

Training rewards give the proxy's mean and spread (standard deviation over all samples of a sliding window of steps;
RewardDance, arXiv 2509.08826, Fig. 5, reads a falling spread as collapse). Now and then the policy is measured on fixed
prompts with fixed noise: proxy, drift (root mean square pixel distance from the start's samples), diversity, and gold
where a plug-in knows it. Gold is written down and warned about; no rule that chooses or stops may read it.

Rules stop: spread under its floor, drift over its limit, no better held-out proxy for `patience` measurements.
Rules warn: spread halved, held-out proxy falling while the training proxy rises, gold falling while the proxy rises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rules:
    """`window` in steps; a floor or patience of 0 and a limit of None never stop."""

    window: int = 10
    spread_floor: float = 0.0
    drift_limit: float | None = None
    patience: int = 0


@dataclass(frozen=True)
class Alarm:
    """A rule that spoke: at which step, whether it stops, and why."""

    step: int
    rule: str
    stops: bool
    detail: str


@dataclass
class Monitor:
    """State of one run. Feed `observe` each step and `measure` each measurement, the first at step 0."""

    rules: Rules
    metrics: list[tuple[int, str, float]] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    measured: list[dict[str, float]] = field(default_factory=list)
    best_step: int = 0
    _window: list[list[float]] = field(default_factory=list)

    @property
    def best(self) -> dict[str, float]:
        return next(item for item in self.measured if item["step"] == self.best_step)

    @property
    def stopped(self) -> str:
        """The rule that ended the run, or ""."""
        return next((alarm.rule for alarm in self.alarms if alarm.stops), "")

    def spreads(self) -> list[float]:
        """Spread of every full window so far, or of what there is where none is full."""
        found = [(step, value) for step, name, value in self.metrics if name == "proxy/spread"]
        return [value for step, value in found if step >= self.rules.window] or [value for _, value in found]

    def observe(self, step: int, rewards: NDArray[np.float32], scalars: Mapping[str, float]) -> None:
        """Rewards [B] of one training step (counted from 1) and the scalars of its update."""
        self._window = [*self._window, [float(value) for value in rewards]][-self.rules.window:]
        spread = float(np.concatenate([np.asarray(row) for row in self._window]).std())
        self._log(step, {"proxy/mean": float(rewards.mean()), "proxy/spread": spread}
                  | {f"train/{name}": value for name, value in scalars.items()})
        if step < self.rules.window:
            return
        if spread < self.rules.spread_floor:
            self._alarm(step, "spread", True, f"spread {spread:.4f} under the floor {self.rules.spread_floor}")
        elif spread < 0.5 * self.spreads()[0]:
            self._alarm(step, "spread_halved", False, f"spread {spread:.4f}, at first {self.spreads()[0]:.4f}")

    def measure(self, step: int, values: Mapping[str, float]) -> bool:
        """Held-out `proxy`, `drift`, `diversity` and perhaps `gold`; True where this is the best checkpoint so far."""
        self._log(step, {"drift" if name == "drift" else "gold/mean" if name == "gold" else f"held_out/{name}": value
                         for name, value in values.items()})
        self.measured.append({"step": step, **values})
        limit = self.rules.drift_limit
        within = limit is None or values["drift"] <= limit
        better = step == 0 or (within and values["proxy"] > self.best["proxy"])
        if better:
            self.best_step = step
        if not within:
            self._alarm(step, "drift", True, f"drift {values['drift']:.4f} over the limit {limit}")
        since = sum(item["step"] > self.best_step for item in self.measured)
        if self.rules.patience and since >= self.rules.patience:
            self._alarm(step, "held_out", True, f"no better held-out proxy in {since} measurements")
        self._compare(step)
        return better

    def _compare(self, step: int) -> None:
        """Warnings that need two measurements."""
        if len(self.measured) < 2:
            return
        last, now = self.measured[-2:]
        seen = [value for at, name, value in self.metrics if name == "proxy/mean" and at > last["step"]]
        before = [value for at, name, value in self.metrics if name == "proxy/mean" and at <= last["step"]]
        if before and seen and np.mean(seen) > np.mean(before) and now["proxy"] < last["proxy"]:
            self._alarm(step, "gap", False, f"held-out proxy fell from {last['proxy']:.4f} to {now['proxy']:.4f}")
        first = self.measured[0]
        if "second" in now and now["proxy"] > first["proxy"] and now["second"] < first["second"]:
            self._alarm(step, "judges_differ", False, f"proxy {first['proxy']:.4f} -> {now['proxy']:.4f}, "
                                                      f"second judge {first['second']:.4f} -> {now['second']:.4f}")
        if "gold" in now and now["proxy"] > first["proxy"] and now["gold"] < first["gold"]:
            self._alarm(step, "hacking", False, f"proxy {first['proxy']:.4f} -> {now['proxy']:.4f}, "
                                                f"gold {first['gold']:.4f} -> {now['gold']:.4f}")

    def _alarm(self, step: int, rule: str, stops: bool, detail: str) -> None:
        if all(alarm.rule != rule for alarm in self.alarms):
            self.alarms.append(Alarm(step, rule, stops, detail))

    def _log(self, step: int, values: Mapping[str, float]) -> None:
        self.metrics.extend((step, name, float(value)) for name, value in values.items())

    def state(self) -> dict[str, Any]:
        """JSON-ready; `restore` is its inverse."""
        return {"metrics": self.metrics, "alarms": [vars(alarm) for alarm in self.alarms], "measured": self.measured,
                "best_step": self.best_step, "window": self._window}

    @classmethod
    def restore(cls, rules: Rules, state: Mapping[str, Any]) -> Monitor:
        """The monitor as it was when `state` was taken."""
        return cls(rules, [(int(step), name, value) for step, name, value in state["metrics"]],
                   [Alarm(**alarm) for alarm in state["alarms"]], [dict(item) for item in state["measured"]],
                   int(state["best_step"]), [list(row) for row in state["window"]])
