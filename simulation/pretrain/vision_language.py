"""Recipe of the tiny vision-language models: does this picture match the prompt, and what is in it.

The first steps ask for words in single pictures, the next for prompts too, and the rest show two pictures and ask about
each by itself: the layout that a reward model will be given, but never a comparison. A caption or smaller questions
follow the verdict on the prompt. Every fourth step shows clips, of the first and of the last ones every second: a model
of this size tells motions apart only after some fifty thousand questions on them. Half the pictures are renders, half
samples of the base generators, whose faults no renderer has.

A second cycle teaches what a judge must know besides: a picture cut and put together in another order is damaged, and
words around a prompt that name nothing in the world change no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from rm.context import Example, Frames, fill
from rm.families import load_family
from rm.families.family import Family
from rm.families.layout import Batch
from simulation import vlm
from simulation.flow import WORDS as PROMPT_WORDS
from simulation.pretrain.pictures import Picture, Sampler, caption, chunk, draw_spec, near_miss
from simulation.pretrain.questions import ask, ask_word
from simulation.pretrain.run import Recipe
from simulation.scenes import PromptSpec

PLAIN = "image 1 {image_1}"
SINGLE = "image 1 {image_1} prompt : {prompt} . does image 1 match the prompt ?"
DOUBLE = "image 1 {image_1} image 2 {image_2} prompt : {prompt} . does image %d match the prompt ?"
TWICE = "image 1 {image_1} prompt : {prompt} . image 2 {image_2} prompt : {prompt} . does image %d match the prompt ?"
CLIP_TIMES_S = (0.0, 0.5, 1.25, 1.75)
CHUNK_STEPS = 100
CHUNK_PROMPTS = 240
CLIP_EVERY = 4
WORD_STEPS, WORD_CLIP_EVERY, SINGLE_SHARE = 600, 2, 0.5
SECOND_CYCLE = 600
PLACES = ("above", "of", "left", "right", "up", "down")
CHATTER = (*(word for word in vlm.OTHER_WORDS if word not in PROMPT_WORDS), *PLACES)
UNKNOWN = "etc"
WORDS, QUESTIONS = 12, 6
CAPTIONED = 0.25
SINGLES, PAIRS = {False: 64, True: 48}, {False: 48, True: 32}
"""Examples of a step, of images and of clips."""
Chunk = list[tuple[PromptSpec, list[Picture]]]


def _frames(picture: Picture) -> Frames:
    return Frames(picture.pixels, CLIP_TIMES_S if len(picture.pixels) > 1 else (0.0,))


def _prompt(spec: PromptSpec, clips: bool, rng: np.random.Generator) -> PromptSpec:
    """Mostly the prompt that the pictures try to show; sometimes a near miss of it or another one."""
    draw = rng.random()
    return spec if draw < 0.75 else near_miss(spec, rng) if draw < 0.93 else draw_spec(clips, rng)


def _chattered(prompt: str, rng: np.random.Generator) -> str:
    """One in three with two to eight words around it that name nothing; some are in no vocabulary."""
    if rng.random() < 0.67:
        return prompt
    words = [UNKNOWN if rng.random() < 0.2 else str(rng.choice(CHATTER)) for _ in range(int(rng.integers(2, 9)))]
    before = int(rng.choice((0, len(words) // 2, len(words))))
    return " ".join([*words[:before], prompt, *words[before:]])


def _word(true: bool) -> str:
    return "yes" if true else "no"


def word_examples(pool: Chunk, count: int, rng: np.random.Generator) -> list[Example]:
    """`count` pictures, each with WORDS words and verdicts on them."""
    examples = []
    for _ in range(count):
        _, tries = pool[int(rng.integers(len(pool)))]
        shown = tries[int(rng.integers(len(tries)))]
        asked = [ask_word(shown, rng) for _ in range(WORDS)]
        answer = " ".join(f"{text} {_word(true)}" for text, true in asked)
        examples.append(Example(fill(PLAIN, "", _frames(shown), None), answer=answer))
    return examples


def _answer(asked: int, shown: Sequence[Picture], spec: PromptSpec, wanted: PromptSpec, rng: np.random.Generator
            ) -> str:
    """The verdict on the prompt, then a caption of the picture asked about or verdicts on smaller questions."""
    words = [_word(shown[asked - 1].matches(wanted)), "."]
    if rng.random() < CAPTIONED:
        return " ".join([*words, caption(shown[asked - 1]), ". <|im_end|>"])
    for _ in range(QUESTIONS):
        number = int(rng.integers(len(shown)))
        text, true = ask(shown[number], spec, rng)
        words += [f"image {number + 1}"] if len(shown) > 1 else []
        words += [text, _word(true)]
    return " ".join([*words, "<|im_end|>"])


def draw_examples(pool: Chunk, count: int, pictures: int, clips: bool, rng: np.random.Generator,
                  again: bool = False) -> list[Example]:
    """`count` questions that show one or two `pictures`; those of the second cycle where it is `again`."""
    examples = []
    for _ in range(count):
        spec, tries = pool[int(rng.integers(len(pool)))]
        shown = [tries[int(index)] for index in rng.choice(len(tries), pictures, replace=False)]
        wanted, asked = _prompt(spec, clips, rng), 1 if pictures == 1 else 1 + int(rng.random() < 0.7)
        double = TWICE if again and rng.random() < 0.5 else DOUBLE
        text = _chattered(wanted.text(), rng) if again else wanted.text()
        parts = fill(SINGLE if pictures == 1 else double % asked, text, _frames(shown[0]), _frames(shown[-1]))
        examples.append(Example(parts, answer=_answer(asked, shown, spec, wanted, rng)))
    return examples


def answer_loss(family: Family, model: Any, batch: Batch) -> Tensor:
    """Mean cross-entropy of the verdicts plus a quarter of that of captions; what is asked need not be predicted."""
    states = family.hidden(model, batch)
    labels = batch.labels[:, 1:]
    answered = labels >= 0
    wanted = labels[answered]
    losses = F.cross_entropy(model.lm_head(states[:, :-1][answered]), wanted, reduction="none")
    verdict = torch.isin(labels, torch.tensor([family.verdict.yes[0], family.verdict.no[0]])) & answered
    captions = answered & (verdict.sum(1, keepdim=True) == 1) & ~verdict
    described = losses[captions[answered]]
    total: Tensor = losses[verdict[answered]].mean() + 0.25 * described.sum() / max(1, len(described))
    return total


class ChunkSource:
    """The pool of a step: its chunk, made when first asked for; half renders, half samples of the generators.

    From the step `parted_from` on, parts of some pictures are exchanged.
    """

    def __init__(self, seed: int, samplers: Callable[[bool], Sampler], parted_from: float = math.inf) -> None:
        self.seed, self.samplers, self.parted_from = seed, samplers, parted_from
        self.held: dict[bool, tuple[int, Chunk]] = {}

    def at(self, step: int, clips: bool) -> Chunk:
        """The chunk of clips or images that `step` draws from."""
        number = step // CHUNK_STEPS
        if clips not in self.held or self.held[clips][0] != number:
            prompts = CHUNK_PROMPTS // 4 if clips else CHUNK_PROMPTS
            part = step >= self.parted_from
            renders = chunk(self.seed, number, prompts // 2, clips, None, part)
            samples = chunk(self.seed + 1, number, prompts // 2, clips, self.samplers(clips), part)
            self.held[clips] = (number, renders + samples)
        return self.held[clips][1]


@lru_cache(maxsize=2)
def base_sampler(clips: bool) -> Sampler:
    """Samples of a committed base generator."""
    from simulation.policy import clip_generator, image_generator

    generator = (clip_generator if clips else image_generator)(steps=8)

    def sample(prompts: Any, seed: int) -> Any:
        return generator.frames(prompts, [seed + index for index in range(len(prompts))])

    return sample


def _float_attention(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any
                     ) -> Any:
    """Attention in float32 whatever autocast says: on a CPU its backward pass takes four times as long in bfloat16."""
    with torch.autocast("cpu", enabled=False):
        return sdpa_attention_forward(module, query.float(), key.float(), value.float(), *args, **kwargs)


def _build_half(size: str) -> Any:
    """A fresh model for training under autocast."""
    AttentionInterface.register("sdpa_float32", _float_attention)
    AttentionMaskInterface.register("sdpa_float32", sdpa_mask)
    model = vlm.build(size)
    model.set_attn_implementation("sdpa_float32")
    return model


def recipe(size: str, steps: int, learning_rate: float, half: bool = False) -> Recipe:
    """Recipe of one size: WORD_STEPS steps of words, SINGLE_SHARE of the rest with one picture, then with two.

    Of the SECOND_CYCLE steps of the second cycle one in four shows one.
    """
    with TemporaryDirectory() as folder:
        vlm.write_tokenizer(Path(folder))
        vlm.build(size).config.save_pretrained(folder)
        family = load_family(folder)
    seed = 20 + list(vlm.SIZES).index(size)
    source = ChunkSource(seed, base_sampler, parted_from=steps)
    doubles_from = WORD_STEPS + int(SINGLE_SHARE * (steps - WORD_STEPS))

    def draw(step: int) -> list[Example]:
        rng = np.random.default_rng((seed, 1, step))
        every = CLIP_EVERY if WORD_STEPS <= step < steps else WORD_CLIP_EVERY
        clips = step % every == every - 1
        pool = source.at(step, clips)
        if step < WORD_STEPS:
            return word_examples(pool, SINGLES[clips], rng)
        if step < doubles_from:
            return draw_examples(pool, SINGLES[clips], 1, clips, rng)
        again = step >= steps
        return draw_examples(pool, PAIRS[clips], 1 if again and rng.random() < 0.25 else 2, clips, rng, again)

    def loss(model: nn.Module, step: int) -> Tensor:
        return answer_loss(family, model, family.encode(draw(step)))

    build = _build_half if half else vlm.build
    return Recipe(f"vlm_{size}", seed, steps, learning_rate, 200, lambda: build(size), loss, average=0.995, half=half,
                  second_cycle=SECOND_CYCLE)
