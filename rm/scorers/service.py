"""Rewards of single pictures behind UniRL's reward service: HPSv3, PickScore, ImageReward and what else it runs.

The service keeps each scorer in its own environment, because their pins clash with ours. Its schema: POST /score
{requests: [{history: [{text, image_b64}], required_rewards, metadata}]} answers results[i][reward][metric] and
errors[i][reward].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rm.scorers.http import post_json
from rm.scorers.pictures import Asked, PictureRewards, png_base64
from warehouse.errors import BackendError
from warehouse.hashing import content_id


class RewardService(PictureRewards):
    """One `metric` of one `reward` of a service at `url`."""

    def __init__(self, url: str, reward: str, metric: str, temperature: float = 1.0, timeout_s: float = 120.0) -> None:
        super().__init__(temperature)
        self.url, self.reward, self.metric, self._timeout_s = url.rstrip("/"), reward, metric, timeout_s

    @property
    def model_id(self) -> str:
        """Follows from what is asked, not from where it runs."""
        return content_id("service", self.reward, self.metric, self.temperature)

    def rewards(self, asked: Sequence[Asked]) -> list[float]:
        """In the service's words where it could not score one."""
        requests = [{"history": [{"text": prompt, "image_b64": png_base64(frames)[0]}],
                     "required_rewards": [self.reward], "metadata": {}} for prompt, frames in asked]
        answer = post_json(f"{self.url}/score", {"requests": requests}, {}, self._timeout_s)
        return [self._value(answer, index, prompt) for index, (prompt, _) in enumerate(asked)]

    def _value(self, answer: Any, index: int, prompt: str) -> float:
        where = f"{self.reward}/{self.metric}: {prompt[:80]!r}"
        try:
            failed = (answer.get("errors") or [{}] * (index + 1))[index]
            if failed and self.reward in failed:
                raise BackendError(f"the service could not score: {failed[self.reward]}", where=where)
            return float(answer["results"][index][self.reward][self.metric])
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise BackendError("the answer holds no such reward", where=where,
                               hint="see GET /rewards of the service for names") from error
