"""Recipe of the tiny vision-language models: does this picture match the prompt, and what is in it.

Every example shows two pictures and asks about each by itself: the layout that a reward model will be given, but never
a comparison. The answer is the verdict and caption of the picture that is asked about, then those of the other one.
The first part of the steps sees renders; the rest also samples of the base generators, whose faults no renderer has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rm.context import Example, Frames, fill
from rm.families import load_family
from rm.families.qwen3_vl import Batch, Qwen3VL
from simulation import vlm
from simulation.pretrain.pictures import Picture, Sampler, caption, chunk, draw_spec, near_miss
from simulation.pretrain.run import Recipe
from simulation.scenes import PromptSpec

QUESTION = "prompt : {prompt} . image 1 {image_1} image 2 {image_2} does image %d match the prompt ?"
CLIP_TIMES_S = (0.0, 0.5, 1.25, 1.75)
CHUNK_STEPS = 50
CHUNK_PROMPTS = 200
CLIP_EVERY = 4
PAIRS, CLIP_PAIRS = 64, 20
Chunk = list[tuple[PromptSpec, list[Picture]]]


def _frames(picture: Picture) -> Frames:
    return Frames(picture.pixels, CLIP_TIMES_S if len(picture.pixels) > 1 else (0.0,))


def _prompt(spec: PromptSpec, clips: bool, rng: np.random.Generator) -> PromptSpec:
    """Mostly the prompt that the pictures try to show; sometimes a near miss of it or another one."""
    draw = rng.random()
    return spec if draw < 0.75 else near_miss(spec, rng) if draw < 0.93 else draw_spec(clips, rng)


def _answer(asked: int, first: Picture, second: Picture, wanted: PromptSpec) -> str:
    about = {number: f"{'yes' if picture.matches(wanted) else 'no'} . {caption(picture)} ."
             for number, picture in ((1, first), (2, second))}
    return f"{about[asked]} image {3 - asked} {about[3 - asked]} <|im_end|>"


def draw_examples(pool: Chunk, count: int, clips: bool, rng: np.random.Generator) -> list[Example]:
    """`count` questions that show two pictures."""
    examples = []
    for _ in range(count):
        spec, tries = pool[int(rng.integers(len(pool)))]
        first, second = (tries[int(index)] for index in rng.choice(len(tries), 2, replace=False))
        wanted, asked = _prompt(spec, clips, rng), 1 + int(rng.random() < 0.7)
        parts = fill(QUESTION % asked, wanted.text(), _frames(first), _frames(second))
        examples.append(Example(parts, answer=_answer(asked, first, second, wanted)))
    return examples


def answer_loss(family: Qwen3VL, model: Any, batch: Batch) -> Tensor:
    """Mean cross-entropy of the verdicts plus that of the captions' tokens."""
    states = family.hidden(model, batch)
    labels = batch.labels[:, 1:]
    wanted = labels[labels >= 0]
    losses = F.cross_entropy(model.lm_head(states[:, :-1][labels >= 0]), wanted, reduction="none")
    verdict = torch.isin(wanted, torch.tensor([family.verdict.yes[0], family.verdict.no[0]]))
    total: Tensor = losses[verdict].mean() + losses[~verdict].mean()
    return total


class ChunkSource:
    """The pool of a step: its chunk, made when first asked for; samples of the generators from `samples_from` on."""

    def __init__(self, seed: int, samples_from: int, samplers: Callable[[bool], Sampler]) -> None:
        self.seed, self.samples_from, self.samplers = seed, samples_from, samplers
        self.held: dict[bool, tuple[int, Chunk]] = {}

    def at(self, step: int, clips: bool) -> Chunk:
        """The chunk of clips or images that `step` draws from."""
        number = step // CHUNK_STEPS
        if clips not in self.held or self.held[clips][0] != number:
            prompts = CHUNK_PROMPTS // 4 if clips else CHUNK_PROMPTS
            pool = chunk(self.seed, number, prompts, clips, None)
            if step >= self.samples_from:
                pool = pool[: prompts // 2] + chunk(self.seed + 1, number, prompts // 2, clips, self.samplers(clips))
            self.held[clips] = (number, pool)
        return self.held[clips][1]


@lru_cache(maxsize=2)
def base_sampler(clips: bool) -> Sampler:
    """Samples of a committed base generator."""
    from simulation.policy import clip_generator, image_generator

    generator = (clip_generator if clips else image_generator)()

    def sample(prompts: Any, seed: int) -> Any:
        return generator.frames(prompts, [seed + index for index in range(len(prompts))])

    return sample


def recipe(size: str, steps: int, samples_from: int, learning_rate: float) -> Recipe:
    """Recipe of one size; `samples_from` is the first step that also sees generators' samples."""
    with TemporaryDirectory() as folder:
        vlm.write_tokenizer(Path(folder))
        vlm.build(size).config.save_pretrained(folder)
        family = load_family(folder)
    seed = 20 + list(vlm.SIZES).index(size)
    source = ChunkSource(seed, samples_from, base_sampler)

    def loss(model: nn.Module, step: int) -> Tensor:
        clips = step % CLIP_EVERY == CLIP_EVERY - 1
        rng = np.random.default_rng((seed, 1, step))
        examples = draw_examples(source.at(step, clips), CLIP_PAIRS if clips else PAIRS, clips, rng)
        return answer_loss(family, model, family.encode(examples))

    return Recipe(f"vlm_{size}", seed, steps, learning_rate, 200, lambda: vlm.build(size), loss, average=0.995)
