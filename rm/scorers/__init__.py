"""Scorers beside our own models: other people's judges and rewards over HTTP, each in its own environment.

Whatever has `model_id`, `max_frames` and `score_pairs` can be a reward, a held-out reward and a subject of the gate.
A question that gets no answer is an error that names it: never a made-up number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rm.reward_model import PairItem, Scores
from warehouse.errors import ConfigError
from warehouse.plugins import load_plugin


class Scorer(Protocol):
    """Anything that says how likely a candidate beats its reference."""

    @property
    def model_id(self) -> str: ...

    @property
    def max_frames(self) -> int: ...

    def score_pairs(self, items: Sequence[PairItem], batch: int = 64) -> Scores:
        """P(candidate beats reference) [N] in [0, 1]; raises for the first item without an answer."""


def load_scorer(plugin: str, options: Mapping[str, Any]) -> Scorer:
    """The scorer that `module:Class` makes of its options; raises ConfigError that names the wrong one."""
    try:
        made: Scorer = load_plugin(plugin)(**options)
    except TypeError as error:
        raise ConfigError(f"{plugin} does not take these options: {error}") from error
    return made
