"""Rationales from a local vision-language model of any supported family (annotation/rationales.py has the protocol).

The model continues "{better} is better because"; the second pass reads P(yes) of "is image 2 better than image 1?"
after the reason. Decoding is greedy and reads the whole question again for each word, which is right for short reasons
and small models; a served model over HTTP (annotation/rationale_chat.py) is the fast way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from annotation.rationales import FIRST, SECOND, Clip, ShownPair
from rm.context import Example, Frames, fill
from rm.families import load_family
from rm.features import FeatureCache
from rm.model_folder import read_card
from warehouse.errors import ConfigError
from warehouse.hashing import content_id

WRITE = (
    "prompt : {prompt} . {criteria} image 1 {image_1} image 2 {image_2} image {better} is better than the other . why ?"
)
PREDICT = (
    "prompt : {prompt} . {criteria} image 1 {image_1} image 2 {image_2} somebody preferred one of them and said : "
    "{rationale} . is image 2 better than image 1 ?"
)
_NUMBER = {FIRST: "1", SECOND: "2"}


class LocalWriter:
    """The checkpoint in `folder`; `write_template` and `predict_template` are the words it is asked with."""

    parallel = 1

    def __init__(
        self,
        folder: str,
        device: str = "cpu",
        max_tokens: int = 40,
        write_template: str = WRITE,
        predict_template: str = PREDICT,
    ) -> None:
        path = Path(folder)
        if not (path / "config.json").is_file():
            raise ConfigError(f"no model in {folder!r}", hint="a folder with config.json and safetensors")
        self._family = load_family(path)
        self._model: Any = self._family.load_model(path).to(device).eval()
        self._max_tokens, self._write, self._predict = max_tokens, write_template, predict_template
        self.author_id = read_card(path).model_id

    @property
    def revision(self) -> str:
        return content_id("local writer", self.author_id, self._write, self._predict, self._max_tokens)[:12]

    def write(self, pair: ShownPair, better: str) -> str:
        """Greedy words until the turn ends, at most `max_tokens`."""
        asked = self._question(self._write.replace("{better}", _NUMBER[better]), pair)
        features, said = FeatureCache(self._family, self._model), list[int]()
        tokenizer = self._family.tokenizer
        ends = {tokenizer.eos_token_id, *tokenizer(self._family.end, add_special_tokens=False).input_ids}
        with torch.inference_mode():
            while len(said) < self._max_tokens:
                text = tokenizer.decode(said)
                batch = self._family.encode([Example(asked.parts, answer=text or None)])
                states = self._family.hidden(self._model, batch, features(batch))
                last = int(batch.attention_mask[0].sum()) - 1
                word = int(self._model.lm_head(states[:, last]).argmax())
                if word in ends:
                    break
                said.append(word)
        return str(tokenizer.decode(said, skip_special_tokens=True))

    def predict(self, pair: ShownPair, rationale: str) -> str:
        """second where P(yes) is above one half."""
        asked = self._question(self._predict.replace("{rationale}", _plain(rationale)), pair)
        with torch.inference_mode():
            logits = self._family.verdict_logits(self._model, self._family.encode([asked]))
        return SECOND if float(self._family.verdict.log_odds(logits)[0]) > 0 else FIRST

    def _question(self, template: str, pair: ShownPair) -> Example:
        worded = template.replace("{criteria}", _plain(pair.criteria))
        return Example(fill(worded, pair.prompt, _frames(pair.first), _frames(pair.second)))


def _frames(clip: Clip) -> Frames:
    return Frames(clip.pixels, clip.times_s)


def _plain(text: str) -> str:
    """A rater's or a model's words may hold braces, which are slots in a template."""
    return text.replace("{", "(").replace("}", ")")
