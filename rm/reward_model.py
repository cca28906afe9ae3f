"""Reward = P("yes") that the candidate beats the reference (RewardDance, arXiv 2509.08826, Eq. 2), for any caller.

Three ways to ask, one answer: `score_pairs` for lists, `score_group` for many candidates of one prompt against one
reference (what they share is read once and its keys and values are reused), `reward` with a gradient to the
candidate's pixels. Left out on purpose: learning (train.py) and judging the judge (evaluate.py, gate.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rm.context import Context, Example, Frames, Part, fill, pairwise
from rm.examples import Asking
from rm.families import load_family
from rm.families.family import Family, PictureFeatures
from rm.families.layout import Batch
from rm.features import FeatureCache
from rm.forms import find_form
from rm.model_folder import ModelCard, find_model, load_head, read_card
from rm.processes import there
from rm.shots import NO_SHOTS, Shots, load_shots
from warehouse import Warehouse
from warehouse.errors import ConfigError, InvalidInputError
from warehouse.media.decode import decode_frames

Scores = NDArray[np.float32]
_Batches = Iterator[tuple[list[int], Batch, list[PictureFeatures]]]


@dataclass(frozen=True, eq=False)
class PairItem:
    """One question: does `candidate` beat `reference` for this prompt? `instruction` None takes the model's own.

    `condition` is the picture that an edit or a clip starts from; `further` are references besides, best first.
    """

    prompt: str
    reference: Frames
    candidate: Frames
    task: str
    dimension: str
    instruction: str | None = None
    condition: Frames | None = None
    further: tuple[Frames, ...] = ()


def frames_of(data: bytes, max_frames: int | None = None, name: str = "") -> Frames:
    """Decoded media bytes, at most `max_frames` spread from first to last; raises MediaError."""
    pixels, times_s = decode_frames(data, max_frames)
    return Frames(pixels, tuple(times_s), name)


def sampled(frames: Frames, max_frames: int) -> Frames:
    """At most `max_frames` frames, spread from first to last; the same object where there are no more."""
    count = len(frames.times_s)
    if count <= max_frames:
        return frames
    chosen = np.linspace(0, count - 1, max_frames).round().astype(int).tolist()
    return Frames(frames.pixels[chosen], tuple(frames.times_s[index] for index in chosen), frames.name)


class RewardModel:
    """A loaded model, frozen and in evaluation mode."""

    def __init__(self, family: Family, model: Any, card: ModelCard, shots: Shots = NO_SHOTS) -> None:
        self.family, self.card, self.form = family, card, find_form(card.form)
        self.model = model.eval().requires_grad_(False)
        self._shots, self._worked = shots, dict[tuple[str, str, str], tuple[Part, ...]]()

    @property
    def model_id(self) -> str:
        return self.card.model_id

    @property
    def asking(self) -> Asking:
        """How samples of shards are put to it: as they were in training, without answers."""
        return Asking(self.form, {} if self.form.asks_pairs else self.card.instructions, rationale="none",
                      references=self.card.references, shots=self._shots)

    @property
    def max_frames(self) -> int:
        """Most frames of a clip that the model is shown."""
        return self.card.max_frames

    def score_pairs(self, items: Sequence[PairItem], batch: int = 64) -> Scores:
        """P(candidate beats reference) of each item, float32 [N] in (0, 1), in the order given; nothing for no items.

        A pairwise model's is P(yes); a pointwise model's the Bradley-Terry probability of its two rewards.
        """
        shown: dict[int, Frames] = {}
        examples: list[Example] = []
        for item in items:
            template = self._template(item.task, item.dimension, item.instruction)
            context = self._context(item.task, item.dimension, template, item.condition, item.further, shown)
            examples += self.form.questions(template, item.prompt, self._shown(item.reference, shown),
                                            self._shown(item.candidate, shown), context)
        return sigmoid(self.form.answered(self.scores(examples, batch)))

    def scores(self, examples: Sequence[Example], batch: int = 64) -> Scores:
        """The form's reading of each example, float32 [N]; each distinct picture is encoded once."""
        found = np.zeros(len(examples), np.float32)
        with torch.inference_mode():
            for indices, encoded, features in self._batches(examples, batch):
                states = self._states(encoded, features)
                found[indices] = self.form.read(self.family, self.model, states).cpu().numpy()
        return found

    def _states(self, encoded: Batch, features: list[PictureFeatures]) -> Any:
        """States [B, width] of the verdict: at once, or after a reason in the model's own words."""
        if self.card.rationale == "reason_first":
            return self.family.reasoned_states(self.model, encoded, features, self.card.reason_tokens)[0]
        return self.family.verdict_states(self.model, encoded, features)

    def score_group(self, prompt: str, references: Sequence[Frames], candidates: Sequence[Frames], task: str,
                    dimension: str, instruction: str | None = None, batch: int = 64, condition: Frames | None = None,
                    further: tuple[Frames, ...] = ()) -> Scores:
        """P(candidate beats reference) [K, N] of N candidates against each of K references, in the orders given.

        Within 1e-4 of `score_pairs`, and cheaper: what the candidates share is read once a reference, and each
        picture is encoded once.
        """
        template = self._template(task, dimension, instruction)
        shown: dict[int, Frames] = {}
        cut, met = ([self._shown(each, shown) for each in frames] for frames in (candidates, references))
        context = self._context(task, dimension, template, condition, further, shown)
        if not self.form.asks_pairs:
            asked = [Example(fill(template, prompt, each, None, context)) for each in (*met, *cut)]
            rewards = self.scores(asked, batch)
            return sigmoid(rewards[None, len(met):] - rewards[:len(met), None])
        if self.card.rationale == "reason_first":
            asked = [pairwise(template, prompt, reference, each, context=context) for reference in met for each in cut]
            return sigmoid(self.scores(asked, batch).reshape(len(met), len(cut)))
        features = FeatureCache(self.family, self.model)
        found = [self._after_prefix(template, prompt, reference, cut, batch, context, features) for reference in met]
        return sigmoid(np.stack(found) if found else np.zeros((0, len(cut)), np.float32))

    def _after_prefix(self, template: str, prompt: str, reference: Frames, candidates: Sequence[Frames],
                      batch: int, context: Context, known: FeatureCache) -> Scores:
        """Log-odds of each candidate; what stands before image 2 is read once."""
        examples = [pairwise(template, prompt, reference, candidate, context=context) for candidate in candidates]
        found = np.zeros(len(examples), np.float32)
        before = fill(template.partition("{image_2}")[0], prompt, reference, None, context)
        shared = self.family.length(before, tail=False)
        cache: Any = None
        with torch.inference_mode():
            for indices, encoded, features in self._batches(examples, batch, known):
                if cache is None:
                    cache = self.family.read_prefix(self.model, encoded, shared, features)
                states = self.family.verdict_states_after(self.model, encoded, shared, cache, features)
                found[indices] = self.form.read(self.family, self.model, states).cpu().numpy()
        return found

    def reward(self, prompts: Sequence[str], references: Sequence[Frames], candidates: Tensor, task: str,
               dimension: str, instruction: str | None = None,
               conditions: Sequence[Frames | None] | None = None) -> Tensor:
        """P(candidate beats reference) [B] of candidates [B, T, H, W, 3] in [0, 1]; keeps the gradient.

        Candidates are shown at the times of their references. Raises InvalidInputError where a reference has another
        number of frames, once both are cut to the model's; ConfigError for a model whose verdict follows its reasons,
        through which no gradient flows.
        """
        if self.card.rationale == "reason_first":
            raise ConfigError("no gradient flows through reasons", where=self.model_id,
                              hint="align to a model trained with rationale verdict_first or none")
        template = self._template(task, dimension, instruction)
        examples: list[Example] = []
        shown: dict[int, Frames] = {}
        for index, (prompt, reference, pixels) in enumerate(zip(prompts, references, candidates, strict=True)):
            cut = sampled(reference, self.card.max_frames)
            condition = conditions[index] if conditions else None
            context = self._context(task, dimension, template, condition, (), shown)
            examples += self.form.questions(template, prompt, cut, self._beside(cut, pixels), context)
        encoded = self.family.encode(examples)
        features = self._features_with_gradient(encoded.pictures)
        states = self.family.verdict_states(self.model, encoded, features)
        won: Tensor = torch.sigmoid(self.form.answered(self.form.read(self.family, self.model, states)))
        return won

    def _beside(self, reference: Frames, pixels: Tensor) -> Frames:
        """The candidate's frames at the times of its reference."""
        shown = sampled(Frames(pixels, tuple(range(len(pixels)))), self.card.max_frames)
        if len(shown.times_s) != len(reference.times_s):
            raise InvalidInputError(f"candidate of {len(pixels)} frames, reference of {len(reference.times_s)} shown")
        return Frames(shown.pixels, reference.times_s)

    def _features_with_gradient(self, pictures: Sequence[Any]) -> list[PictureFeatures]:
        """Only tensors need a graph through the vision tower; references are arrays."""
        moving = [index for index, picture in enumerate(pictures) if isinstance(picture, Tensor)]
        fixed = [index for index in range(len(pictures)) if index not in set(moving)]
        with torch.no_grad():
            still = self.family.image_features(self.model, [pictures[i] for i in fixed])
        found = dict(zip(fixed, still, strict=True))
        found |= zip(moving, self.family.image_features(self.model, [pictures[i] for i in moving]), strict=True)
        return [found[index] for index in range(len(pictures))]

    def _template(self, task: str, dimension: str, instruction: str | None) -> str:
        return self.card.instruction(task, dimension) if instruction is None else instruction

    def _context(self, task: str, dimension: str, template: str, condition: Frames | None,
                 further: tuple[Frames, ...], shown: dict[int, Frames]) -> Context:
        """What is shown besides, as much of it as the model was trained with."""
        place = (task, dimension, template)
        if place not in self._worked:
            self._worked[place] = self._shots.parts(*place)
        start = None if condition is None else self._shown(condition, shown)
        references = tuple(self._shown(each, shown) for each in further[:self.card.references])
        return Context(start, references, self._worked[place])

    def _shown(self, frames: Frames, seen: dict[int, Frames]) -> Frames:
        """Cut to the model's number of frames; one object per clip, so that its pictures stay one."""
        return seen.setdefault(id(frames.pixels), sampled(frames, self.card.max_frames))

    def _batches(self, examples: Sequence[Example], size: int, known: FeatureCache | None = None) -> _Batches:
        """Batches by length; image features once per distinct picture."""
        lengths = [self.family.length(example.parts) for example in examples]
        order = sorted(range(len(examples)), key=lambda index: lengths[index])
        features = known or FeatureCache(self.family, self.model)
        for start in range(0, len(examples), size):
            chunk = order[start:start + size]
            encoded = self.family.encode([examples[i] for i in chunk])
            yield chunk, encoded, features(encoded)


def sigmoid(log_odds: Scores) -> Scores:
    """P(yes) from log-odds, float32, without overflow."""
    return torch.sigmoid(torch.from_numpy(log_odds)).numpy()


def load_reward_model(warehouse: Warehouse | Path | str, model: str, device: str = "cpu") -> RewardModel:
    """The model of an id or folder on a device; raises NotFoundError, or ConfigError for an unknown family."""
    folder = find_model(warehouse, model)
    family = load_family(folder)
    loaded = family.load_model(folder).to(there(device))
    load_head(loaded, folder)
    card = read_card(folder)
    shots = load_shots(folder, lambda name, data: frames_of(data, card.max_frames, name))
    return RewardModel(family, loaded, card, shots)
