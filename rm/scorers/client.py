"""A reward model behind `rewarddance rm serve`: as a reward, a held-out reward, or a subject of the gate.

Frames travel as lossless PNG with their times. The address may be shared by many trainers: a busy server is
asked again after the time it says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from rm.context import Frames
from rm.reward_model import PairItem, Scores, sampled
from rm.scorers.http import get_json, post_json
from rm.scorers.pictures import png_base64
from warehouse.errors import BackendError, ConfigError

BATCH = 64


class RewardClient:
    """The server at `url`; its token is read from the environment variable `token_variable`, if that is set."""

    def __init__(self, url: str, token_variable: str = "REWARDDANCE_TOKEN", timeout_s: float = 120.0) -> None:
        self.url, self._timeout_s = url.rstrip("/"), timeout_s
        token = os.environ.get(token_variable, "")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    @cached_property
    def card(self) -> Mapping[str, Any]:
        """What the server says of its model: model_id, form, max_frames, asked {task: [dimension]}."""
        served: list[dict[str, Any]] = get_json(f"{self.url}/models", self._headers, self._timeout_s)["models"]
        return served[0]

    @property
    def model_id(self) -> str:
        return str(self.card["model_id"])

    @property
    def max_frames(self) -> int:
        """Most frames of a clip that the model is shown."""
        return int(self.card["max_frames"])

    def score_pairs(self, items: Sequence[PairItem], batch: int = BATCH) -> Scores:
        """P(candidate beats reference) [N]; raises BackendError with the server's words for the first error."""
        if any(item.instruction is not None for item in items):
            raise ConfigError("a served model asks in its own words", hint="leave instruction empty")
        return self._scored([self._item(item) for item in items], batch)

    def score_candidates(self, prompts: Sequence[str], candidates: Sequence[Frames], task: str, dimension: str,
                         batch: int = BATCH) -> Scores:
        """P(candidate beats the references that the server keeps for its prompt) [N]."""
        return self._scored([{"prompt": prompt, "task": task, "dimension": dimension, "candidate": self._media(frames)}
                             for prompt, frames in zip(prompts, candidates, strict=True)], batch)

    def keep(self, prompt: str, references: Sequence[Frames], task: str) -> str:
        """Keep references of a prompt on the server, best first, none to forget them; returns the prompt's id."""
        item = {"prompt": prompt, "task": task, "references": [self._media(each) for each in references]}
        answer = post_json(f"{self.url}/references", {"items": [item]}, self._headers, self._timeout_s)
        return str(_told(answer["results"][0], prompt)["prompt_id"])

    def _scored(self, items: Sequence[Mapping[str, Any]], batch: int) -> Scores:
        found: list[float] = []
        for start in range(0, len(items), batch):
            chunk = items[start:start + batch]
            answer = post_json(f"{self.url}/score", {"items": chunk}, self._headers, self._timeout_s)
            found += [float(_told(each, item["prompt"])["score"])
                      for item, each in zip(chunk, answer["results"], strict=True)]
        return np.array(found, np.float32)

    def _item(self, item: PairItem) -> dict[str, Any]:
        found: dict[str, Any] = {"prompt": item.prompt, "task": item.task, "dimension": item.dimension,
                                 "reference": self._media(item.reference), "candidate": self._media(item.candidate)}
        return found if item.condition is None else {**found, "condition": self._media(item.condition)}

    def _media(self, frames: Frames) -> dict[str, Any]:
        shown = sampled(frames, self.max_frames)
        data = png_base64(shown)
        return {"base64": data[0]} if len(data) == 1 else {"frames": data, "times_s": list(shown.times_s)}


def _told(answer: Mapping[str, Any], prompt: str) -> Mapping[str, Any]:
    if "error" in answer:
        said = answer["error"]
        raise BackendError(f"the server could not score: {said['message']}", where=prompt[:80], hint=said["hint"])
    return answer
