"""UnifiedReward behind any OpenAI-compatible server (vLLM, SGLang): a score from 1 to 5 in free text.

The question is the one of its own point-score inference, as flow_grpo asks it (rewards.py, unifiedreward_score_sglang).
There an answer without a score becomes 0; here it is an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rm.scorers.http import post_json
from rm.scorers.pictures import Asked, PictureRewards, png_base64
from warehouse.errors import BackendError
from warehouse.hashing import content_id

QUESTION = (
    "<image>\nYou are given a text caption and a generated image based on that caption. Your task is to evaluate this "
    "image based on two key criteria:\n1. Alignment with the Caption: Assess how well this image aligns with the "
    "provided caption. Consider the accuracy of depicted objects, their relationships, and attributes as described in "
    "the caption.\n2. Overall Image Quality: Examine the visual quality of this image, including clarity, detail "
    "preservation, color accuracy, and overall aesthetic appeal.\nBased on the above criteria, assign a score from 1 "
    "to 5 after 'Final Score:'.\nYour task is provided as follows:\nText Caption: [{prompt}]")
_SCORE = re.compile(r"Final Score:\s*([1-5](?:\.\d+)?)")


class UnifiedReward(PictureRewards):
    """`url` ends in /v1; the key is read from the environment variable `key_variable`, if that is set."""

    def __init__(self, url: str, model: str = "UnifiedReward-7b-v1.5", temperature: float = 1.0, parallel: int = 8,
                 key_variable: str = "OPENAI_API_KEY", timeout_s: float = 120.0) -> None:
        super().__init__(temperature)
        self.url, self.model, self._parallel, self._timeout_s = url.rstrip("/"), model, parallel, timeout_s
        key = os.environ.get(key_variable, "")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    @property
    def model_id(self) -> str:
        """Follows from the model's name and the question."""
        return content_id("unified reward", self.model, QUESTION, self.temperature)

    def rewards(self, asked: Sequence[Asked]) -> list[float]:
        """1 to 5 each; raises BackendError with the answer that has no score."""
        with ThreadPoolExecutor(self._parallel) as pool:
            return list(pool.map(self._reward, asked))

    def _reward(self, asked: Asked) -> float:
        prompt, frames = asked
        content = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png_base64(frames)[0]}"}},
                   {"type": "text", "text": QUESTION.replace("{prompt}", prompt)}]
        answer = post_json(f"{self.url}/chat/completions", {
            "model": self.model, "messages": [{"role": "user", "content": content}], "temperature": 0},
            self._headers, self._timeout_s)
        try:
            said = str(answer["choices"][0]["message"]["content"])
        except (KeyError, IndexError, TypeError) as error:
            raise BackendError("the answer has no text", where=prompt[:80]) from error
        found = _SCORE.search(said)
        if not found:
            raise BackendError(f"no score in the answer: {said[:200]!r}", where=prompt[:80])
        return float(found[1])
