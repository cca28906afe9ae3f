"""Any OpenAI-compatible vision server as a judge: P(yes) from the top log-probabilities of the first answer token.

As Flow-Factory's `vllm_evaluate`, except that an answer without both words among its top tokens is an error, where that
returns 0. Works with vLLM, SGLang and hosted models that report log-probabilities.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from rm.context import Context, Part, Text, fill
from rm.instructions import read_instructions
from rm.reward_model import PairItem, Scores, sampled
from rm.scorers.http import post_json
from rm.scorers.pictures import png_base64
from warehouse.errors import BackendError, ConfigError
from warehouse.hashing import content_id


class OpenAIJudge:
    """`url` ends in /v1; the key is read from the environment variable `key_variable`, if that is set."""

    def __init__(self, url: str, model: str, instructions: str | Path, key_variable: str = "OPENAI_API_KEY",
                 max_frames: int = 4, parallel: int = 8, timeout_s: float = 120.0) -> None:
        self.url, self.model, self.max_frames = url.rstrip("/"), model, max_frames
        self._templates = {(row["task"], row["dimension"]): row["template"]
                           for row in read_instructions(Path(instructions))}
        self._parallel, self._timeout_s = parallel, timeout_s
        key = os.environ.get(key_variable, "")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    @property
    def model_id(self) -> str:
        """Follows from the judge's name and its words, not from where it runs."""
        return content_id("judge", self.model, *sorted(self._templates.values()), self.max_frames)

    def score_pairs(self, items: Sequence[PairItem], batch: int = 64) -> Scores:
        """P(yes) of each item [N], in the order given; raises BackendError where a verdict is missing."""
        with ThreadPoolExecutor(self._parallel) as pool:
            return np.array(list(pool.map(self._score, items)), np.float32)

    def _score(self, item: PairItem) -> float:
        template = item.instruction or self._templates.get((item.task, item.dimension))
        if template is None:
            raise ConfigError(f"no instruction for {item.task}/{item.dimension}", hint="add it to the instructions")
        first, second, *further = (sampled(frames, self.max_frames)
                                   for frames in (item.reference, item.candidate, *item.further))
        condition = None if item.condition is None else sampled(item.condition, self.max_frames)
        parts = fill(template, item.prompt, first, second, Context(condition, tuple(further)))
        content = [piece for part in parts for piece in _content(part)]
        answer = post_json(f"{self.url}/chat/completions", {
            "model": self.model, "messages": [{"role": "user", "content": content}], "max_tokens": 1,
            "temperature": 0, "logprobs": True, "top_logprobs": 20}, self._headers, self._timeout_s)
        return _p_yes(answer, f"{self.model}: {item.prompt[:80]!r}")


def _content(part: Part) -> list[dict[str, Any]]:
    """A part as pieces of a chat message; the frames of a clip after their times."""
    if isinstance(part, Text):
        return [{"type": "text", "text": part.text}]
    pieces: list[dict[str, Any]] = []
    for data, time_s in zip(png_base64(part), part.times_s, strict=True):
        pieces += [{"type": "text", "text": f"<{time_s:.1f} s>"}] if len(part.times_s) > 1 else []
        pieces.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}})
    return pieces


def _p_yes(answer: Any, where: str) -> float:
    """P(yes) / (P(yes) + P(no)) over all spellings among the top tokens."""
    try:
        top = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        mass = {word: sum(math.exp(each["logprob"]) for each in top if each["token"].strip().lower() == word)
                for word in ("yes", "no")}
    except (KeyError, IndexError, TypeError) as error:
        raise BackendError("the answer has no log-probabilities", where=where,
                           hint="the server must report logprobs with top_logprobs") from error
    if not mass["yes"] or not mass["no"]:
        said = ", ".join(repr(each["token"]) for each in top[:5])
        raise BackendError(f"a verdict word is not among the top tokens: {said}", where=where,
                           hint="ask for yes or no in the instruction")
    return mass["yes"] / (mass["yes"] + mass["no"])
