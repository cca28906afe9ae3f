"""Rewards of single pictures behind UniRL's reward service: HPSv3, PickScore, ImageReward and what else it runs.

The service keeps each scorer in its own environment, because their pins clash with ours. Its schema: POST /score
{requests: [{history: [{text, image_b64}], required_rewards, metadata}]} answers results[i][reward][metric] and
errors[i][reward]. A pair becomes P(candidate beats reference) by Bradley-Terry, scaled by `temperature`: one unit of
reward is log-odds 1 / temperature.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rm.context import Frames
from rm.reward_model import PairItem, Scores
from rm.scorers.http import post_json
from warehouse.errors import BackendError, InvalidInputError
from warehouse.hashing import content_id
from warehouse.media.encode import encode_png


class RewardService:
    """One `metric` of one `reward` of a service at `url`."""

    max_frames = 1

    def __init__(self, url: str, reward: str, metric: str, temperature: float = 1.0, timeout_s: float = 120.0) -> None:
        if not temperature > 0:
            raise InvalidInputError(f"temperature must be positive, got {temperature}")
        self.url, self.reward, self.metric = url.rstrip("/"), reward, metric
        self.temperature, self._timeout_s = temperature, timeout_s

    @property
    def model_id(self) -> str:
        """Follows from what is asked, not from where it runs."""
        return content_id("service", self.reward, self.metric, self.temperature)

    def score_pairs(self, items: Sequence[PairItem], batch: int = 64) -> Scores:
        """P(candidate beats reference) [N]; raises BackendError with the service's words for an item it could not."""
        rewards: list[float] = []
        for start in range(0, len(items), batch):
            rewards += self._rewards([(item.prompt, frames) for item in items[start:start + batch]
                                      for frames in (item.reference, item.candidate)])
        pairs = np.array(rewards, np.float64).reshape(-1, 2)
        leads = (pairs[:, 1] - pairs[:, 0]) / self.temperature
        return (0.5 * (1.0 + np.tanh(leads / 2.0))).astype(np.float32)

    def _rewards(self, asked: Sequence[tuple[str, Frames]]) -> list[float]:
        requests = [{"history": [{"text": prompt, "image_b64": _image(frames)}], "required_rewards": [self.reward],
                     "metadata": {}} for prompt, frames in asked]
        answer = post_json(f"{self.url}/score", {"requests": requests}, {}, self._timeout_s)
        return [self._value(answer, index, prompt) for index, (prompt, _) in enumerate(asked)]

    def _value(self, answer: Any, index: int, prompt: str) -> float:
        where = f"{self.reward}/{self.metric}: {prompt[:80]!r}"
        try:
            failed = (answer.get("errors") or [{}] * (index + 1))[index]
            if failed and self.reward in failed:
                raise BackendError(f"the service could not score: {failed[self.reward]}", where=where)
            value = float(answer["results"][index][self.reward][self.metric])
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise BackendError("the answer holds no such reward", where=where,
                               hint="see GET /rewards of the service for names") from error
        if not math.isfinite(value):
            raise BackendError(f"the reward is {value}", where=where)
        return value


def _image(frames: Frames) -> str:
    if len(frames.times_s) > 1:
        raise InvalidInputError("this scorer judges pictures, not clips")
    return base64.b64encode(encode_png(np.asarray(frames.pixels)[0])).decode()
