"""What all families share: from parts to tokens, positions and batches, and the forward pass with known image features.

Built on AutoTokenizer and the numbers of preprocessor_config.json, because AutoProcessor needs torchvision. A clip goes
in as moments, each after its label: single frames, or as many in a row as a patch of the vision tower spans. What
people wrote is never markup: a special token spelled out in a prompt or a reason is broken up before it is read; the
chat's own frame keeps its tokens. Image features are computed once per distinct picture of a batch, however often it
stands in it. A family says how the chat is framed, which tokens stand for a picture, and what the vision tower makes of
its pixels; a test compares each with transformers' own preprocessing and forward pass.
"""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rm.context import Example, Frames, Part, PictureKey, Text
from rm.families.layout import Batch, Row, pad
from rm.families.pixels import resized
from rm.verdict import find_verdict
from warehouse.errors import CorruptDataError, InvalidInputError

_IMAGE = -1
Layout = list[int | tuple[int, int, int]]


@dataclass(frozen=True, eq=False)
class PictureFeatures:
    """What the language model reads of one picture: features [tokens, width], and one such per deep-stack layer."""

    merged: Tensor
    deep: tuple[Tensor, ...] = ()

    def kept(self) -> PictureFeatures:
        """A copy that does not hold on to the batch it was computed in."""
        return PictureFeatures(self.merged.clone(), tuple(layer.clone() for layer in self.deep))

    @property
    def nbytes(self) -> int:
        return self.merged.nbytes + sum(layer.nbytes for layer in self.deep)


@dataclass(frozen=True)
class PictureTokens:
    """Token ids around a picture, and the one that stands for each of its features."""

    start: int
    feature: int
    end: int


def markup(tokenizer: Any) -> list[str]:
    """The special tokens as they are spelled, longest first."""
    return sorted((str(token) for token in tokenizer.added_tokens_decoder.values() if token.special), key=len,
                  reverse=True)


class Family(ABC):
    """Reading and running one checkpoint; `path` is a folder with config and tokenizer.

    The chat is `head`, question, `tail`, answer, `end`; `label` stands before each moment of a clip, which is
    `moment_frames` of its frames.
    """

    model_type: ClassVar[str]
    head: ClassVar[str] = "<|im_start|>user\n"
    tail: ClassVar[str] = "<|im_end|>\n<|im_start|>assistant\n"
    end: ClassVar[str] = "<|im_end|>"
    label: ClassVar[str] = "<{time_s:.1f} seconds>"
    after_picture: ClassVar[str] = ""
    moment_frames: int = 1

    def __init__(self, path: str | Path, config: Any, max_pixels: int | None = None) -> None:
        from transformers import AutoTokenizer

        self.config = config
        self.tokenizer: Any = AutoTokenizer.from_pretrained(path)
        self.verdict = find_verdict(self.tokenizer)
        self.picture = self._picture_tokens()
        self._tokens = lru_cache(maxsize=65536)(self._tokenize)
        self._markup = re.compile("|".join(map(re.escape, markup(self.tokenizer))))
        self._expand = lru_cache(maxsize=16384)(self._lay_out)

    @abstractmethod
    def _picture_tokens(self) -> PictureTokens:
        """Ids of the tokens around a picture and inside it."""

    @abstractmethod
    def fitted_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at which a picture is shown; raises InvalidInputError where it cannot be."""

    @abstractmethod
    def places(self, height: int, width: int) -> NDArray[np.int64]:
        """Positions [3, tokens] of a shown picture's tokens (time, row, column), counted from its first."""

    @abstractmethod
    def image_features(self, model: Any, pictures: Sequence[Any]) -> list[PictureFeatures]:
        """Features of each shown picture [frames, H, W, 3], uint8 array or float tensor; keeps gradients."""

    @abstractmethod
    def vision_parameters(self, model: Any) -> list[Any]:
        """Parameters of the vision tower, its projection included."""

    def facts(self) -> dict[str, Any]:
        """What another program needs to ask as we do, in plain values (standalone_scorer.py)."""
        return {"head": self.head, "tail": self.tail, "label": self.label, "after_picture": self.after_picture,
                "moment_frames": self.moment_frames, "picture": asdict(self.picture),
                "yes": list(self.verdict.yes), "no": list(self.verdict.no), "markup": self._markup.pattern}

    def load_model(self, path: str | Path) -> Any:
        """The checkpoint's weights in float32 on the CPU.

        Raises CorruptDataError that names a weight which is missing, of another shape, NaN or infinite.
        """
        from transformers import AutoModelForImageTextToText
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        loader: Any = AutoModelForImageTextToText
        try:
            model, info = loader.from_pretrained(path, dtype=torch.float32, output_loading_info=True)
        except RuntimeError as error:
            raise CorruptDataError(f"the weights do not fit the config: {error}", where=str(path),
                                   hint="config.json and safetensors are of different models") from error
        broken = [name for name, value in model.state_dict().items() if not bool(torch.isfinite(value).all())]
        for what, names in (("missing", sorted(info["missing_keys"])), ("not finite", broken)):
            if names:
                raise CorruptDataError(f"{len(names)} weights are {what}, {names[0]} first", where=str(path),
                                       hint="fetch or train the checkpoint again")
        return model

    def _tokenize(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _read(self, text: str) -> tuple[int, ...]:
        """Token ids of what people wrote."""
        return self._tokens(self._markup.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text))

    def _answered(self, answer: str | None) -> tuple[int, ...]:
        """Token ids of an answer, which may close the turn; none for none."""
        if not answer:
            return ()
        said = self._read(answer.removesuffix(self.end))
        return (*said, *self._tokens(self.end)) if answer.endswith(self.end) else said

    def answer_length(self, example: Example) -> int:
        """Tokens of what is said: the reason before the verdict, and the answer."""
        return len(self._answered(example.reason)) + len(self._answered(example.answer))

    def _layout(self, parts: Sequence[Part], tail: bool = True) -> Layout:
        """Token ids, with (_IMAGE, height, width) where an image's tokens go."""
        layout: Layout = [*self._tokens(self.head)]
        for part in parts:
            if isinstance(part, Text):
                layout += self._read(part.text)
                continue
            size = self.fitted_size(*part.pixels.shape[1:3])
            for index, moment in enumerate(part.moments(self.moment_frames)):
                if len(part.times_s) > 1:
                    layout += self._tokens(self.label.format(number=index + 1, time_s=moment.time_s))
                layout += [self.picture.start, (_IMAGE, *size), self.picture.end]
                layout += self._tokens(self.after_picture)
        return [*layout, *self._tokens(self.tail)] if tail else layout

    def _lay_out(self, layout: tuple[int | tuple[int, int, int], ...]) -> Row:
        ids: list[int] = []
        places: list[NDArray[np.int64]] = []
        at = 0
        for item in layout:
            if isinstance(item, int):
                ids.append(item)
                places.append(np.full((3, 1), at))
                at += 1
                continue
            grid = self.places(*item[1:])
            ids += [self.picture.feature] * grid.shape[1]
            places.append(grid + at)
            at += int(grid.max()) + 1
        return Row(np.array(ids, np.int64), np.concatenate(places, axis=1))

    def length(self, parts: Sequence[Part], tail: bool = True) -> int:
        """Tokens of a question; without `tail`, of its first parts only."""
        return len(self._expand(tuple(self._layout(parts, tail))).ids)

    def encode(self, examples: Sequence[Example]) -> Batch:
        """One batch from examples; raises InvalidInputError where there is none, or one is longer than the context."""
        if not examples:
            raise InvalidInputError("an empty batch")
        pictures: list[Any] = []
        seen: dict[PictureKey, int] = {}
        features_of: list[int] = []
        for part in (part for example in examples for part in example.parts if isinstance(part, Frames)):
            size = self.fitted_size(*part.pixels.shape[1:3])
            for moment in part.moments(self.moment_frames):
                key = moment.key
                if key not in seen:
                    seen[key] = len(pictures)
                    pictures.append(resized(moment.pixels, size))
                features_of.append(seen[key])
        rows = [(self._expand(tuple(self._layout(e.parts))), self._answered(e.reason), self._answered(e.answer))
                for e in examples]
        self._check_length(max(len(row.ids) + len(reason) + len(answer) for row, reason, answer in rows))
        return pad(rows, examples, pictures, list(seen), features_of)

    def _check_length(self, tokens: int) -> None:
        most = getattr(self.config.get_text_config(), "max_position_embeddings", None)
        if most and tokens > most:
            raise InvalidInputError(f"a question of {tokens} tokens, the model reads at most {most}",
                                    hint="shorten the prompt, or show smaller pictures or fewer frames")

    def _embed(self, model: Any, ids: Tensor, shown: Sequence[PictureFeatures]) -> dict[str, Any]:
        """Embeddings with image features in their places; `shown` in reading order."""
        embeds = model.model.get_input_embeddings()(ids)
        if not shown:
            return {"inputs_embeds": embeds}
        visual = ids == self.picture.feature
        return {"inputs_embeds": embeds.masked_scatter(visual[..., None],
                                                       torch.cat([f.merged for f in shown]).to(embeds.dtype))}

    def _positions(self, position_ids: Tensor) -> Tensor:
        """Positions [3, B, L] as the language model wants them."""
        return position_ids

    def hidden(self, model: Any, batch: Batch, features: Sequence[PictureFeatures] | None = None) -> Tensor:
        """Last hidden states [B, L, width]; `features` of `batch.pictures` where they are known already."""
        found = self.image_features(model, batch.pictures) if features is None else features
        inputs = self._embed(model, batch.input_ids.to(model.device), [found[i] for i in batch.features_of])
        states: Tensor = model.model.language_model(
            **inputs, attention_mask=batch.attention_mask.to(model.device),
            position_ids=self._positions(batch.position_ids.to(model.device)), use_cache=False).last_hidden_state
        return states

    def verdict_states(self, model: Any, batch: Batch, features: Sequence[PictureFeatures] | None = None) -> Tensor:
        """Hidden states [B, width] from which the first answer token is read."""
        states = self.hidden(model, batch, features)
        return states[torch.arange(len(states)), batch.verdict_index.to(states.device)]

    def verdict_logits(self, model: Any, batch: Batch, features: Sequence[PictureFeatures] | None = None) -> Tensor:
        """Logits [B, V] of the first answer token."""
        logits: Tensor = model.lm_head(self.verdict_states(model, batch, features))
        return logits

    def reasoned_states(self, model: Any, batch: Batch, features: Sequence[PictureFeatures],
                        limit: int) -> tuple[Tensor, list[str]]:
        """States [B, width] from which the verdict is read after a reason in the model's own words, and the reasons.

        Greedy; a row ends where the likeliest token is a verdict or the end of the turn, or after `limit` tokens.
        """
        from transformers import DynamicCache

        count, device = len(batch.input_ids), model.device
        ends = torch.tensor([*self.verdict.yes, *self.verdict.no, *self._tokens(self.end)[:1]], device=device)
        cache, mask = DynamicCache(config=self.config.get_text_config()), batch.attention_mask.to(device)
        inputs = self._embed(model, batch.input_ids.to(device), [features[i] for i in batch.features_of])
        places = batch.position_ids.to(device)
        rows, said = torch.arange(count, device=device), list[Tensor]()
        reading = batch.verdict_index.to(device)
        at = model.model.language_model(**inputs, attention_mask=mask, position_ids=self._positions(places),
                                        past_key_values=cache, use_cache=True).last_hidden_state[rows, reading]
        place = places[:, rows, reading].amax(0)
        found, done = at.clone(), torch.zeros(count, dtype=torch.bool, device=device)
        for step in range(limit + 1):
            token = model.lm_head(at).argmax(-1)
            ending = ~done & (torch.isin(token, ends) | (step == limit))
            found[ending], done = at[ending], done | ending
            if bool(done.all()):
                break
            said.append(torch.where(done, -1, token))
            mask = torch.cat([mask, mask.new_ones(count, 1)], 1)
            place = place + 1
            at = model.model.language_model(
                **self._embed(model, token[:, None], ()), attention_mask=mask, past_key_values=cache, use_cache=True,
                position_ids=self._positions(place.expand(3, -1)[..., None])).last_hidden_state[:, 0]
        texts = torch.stack(said, 1).tolist() if said else [[]] * count
        return found, [self.tokenizer.decode([t for t in row if t >= 0]) for row in texts]

    def read_prefix(self, model: Any, batch: Batch, shared: int, features: Sequence[PictureFeatures]) -> Any:
        """Key/value cache of the first `shared` tokens, which all rows of the batch have in common."""
        from transformers import DynamicCache

        cache = DynamicCache(config=self.config.get_text_config())
        ids = batch.input_ids[:1, :shared].to(model.device)
        shown = [features[i] for i in batch.features_of[:self._slots(batch, shared)]]
        places = self._positions(batch.position_ids[:, :1, :shared].to(model.device))
        model.model.language_model(**self._embed(model, ids, shown), past_key_values=cache, use_cache=True,
                                   position_ids=places)
        return cache

    def verdict_states_after(self, model: Any, batch: Batch, shared: int, cache: Any,
                             features: Sequence[PictureFeatures]) -> Tensor:
        """States [B, width] like `verdict_states`, reading only what follows the prefix in `cache` (left unchanged)."""
        count, before = len(batch.input_ids), self._slots(batch, shared)
        slots = (batch.input_ids == self.picture.start).sum(1).tolist()
        starts = [sum(slots[:row]) for row in range(count)]
        shown = [features[i] for start, each in zip(starts, slots, strict=True)
                 for i in batch.features_of[start + before:start + each]]
        expanded = copy.deepcopy(cache)
        expanded.batch_repeat_interleave(count)
        states = model.model.language_model(
            **self._embed(model, batch.input_ids[:, shared:].to(model.device), shown), past_key_values=expanded,
            use_cache=True, attention_mask=batch.attention_mask.to(model.device),
            position_ids=self._positions(batch.position_ids[:, :, shared:].to(model.device))).last_hidden_state
        chosen: Tensor = states[torch.arange(count), batch.verdict_index.to(states.device) - shared]
        return chosen

    def _slots(self, batch: Batch, shared: int) -> int:
        """Image slots of the first row within its first `shared` tokens."""
        return int((batch.input_ids[0, :shared] == self.picture.start).sum())
