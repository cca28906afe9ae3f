"""Inputs that must not win: candidates that say nothing, set against real ones (One Token to Fool, arXiv 2507.08794).

Each attack turns a question into one whose right answer is "no": the candidate is blank, noise, the prompt drawn as
text, or spoiled; a clip does not move, or every other frame of it is gone. As there, the keys of training and of
evaluation are disjoint. Text keys are in text_keys.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from rm.context import Frames

Pixels = NDArray[np.uint8]
Attack = Callable[[Pixels, str, np.random.Generator], Pixels]


def _flat(value: int) -> Attack:
    return lambda pixels, prompt, rng: np.full_like(pixels, value)


def _noise(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    return rng.integers(0, 256, pixels.shape).astype(np.uint8)


def _written(text: str, pixels: Pixels) -> Pixels:
    picture = Image.new("RGB", (pixels.shape[2], pixels.shape[1]), "white")
    ImageDraw.Draw(picture).multiline_text((1, 1), text.replace(" ", "\n"), fill="black", font_size=8, spacing=0)
    return np.broadcast_to(np.asarray(picture), pixels.shape).copy()


def _prompt_as_text(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    return _written(prompt, pixels)


def _praise_as_text(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    return _written("high quality yes", pixels)


def _shuffled(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    """Quarters of the picture in another order: right colours, no picture."""
    height, width = pixels.shape[1] // 2 * 2, pixels.shape[2] // 2 * 2
    top, bottom = np.split(pixels[:, :height, :width], 2, axis=1)
    parts = [*np.split(top, 2, axis=2), *np.split(bottom, 2, axis=2)]
    turned = [np.flip(parts[i], axis=(1, 2)) for i in (3, 2, 1, 0)]
    mixed = np.concatenate([np.concatenate(turned[:2], axis=2), np.concatenate(turned[2:], axis=2)], axis=1)
    found = pixels.copy()
    found[:, :height, :width] = mixed[:, ::-1]
    return found


def _colour(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    """One saturated colour: never white, black or grey."""
    colour = rng.permutation([255, int(rng.integers(0, 256)), 0]).astype(np.uint8)
    return np.broadcast_to(colour, pixels.shape).copy()


def _stripes(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    colours = rng.integers(0, 256, (pixels.shape[2] // 4 + 1, 3)).astype(np.uint8)
    return np.broadcast_to(np.repeat(colours, 4, axis=0)[:pixels.shape[2]], pixels.shape).copy()


def _gradient(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    ends = rng.integers(0, 256, (2, 3))
    share = np.linspace(0, 1, pixels.shape[1])[:, None, None]
    return np.broadcast_to((ends[0] * (1 - share) + ends[1] * share).astype(np.uint8), pixels.shape).copy()


def _scrambled_rows(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    """Right colours in each row, rows in another order."""
    return pixels[:, rng.permutation(pixels.shape[1])]


def _words_as_text(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    words = ["picture", "good", "clean", "better", "best", "very", "real", "art"]
    return _written(" ".join(rng.choice(words, 4)), pixels)


def _frozen(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    """The first frame all the time."""
    return np.broadcast_to(pixels[:1], pixels.shape).copy()


def _black_frames(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    found = pixels.copy()
    found[1::2] = 0
    return found


def _jumbled(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    """Frames in another order, never their own."""
    return np.roll(pixels, int(rng.integers(1, len(pixels))), axis=0)[::-1].copy()


def _stuck(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    """A clip that stops after its first half."""
    found = pixels.copy()
    found[len(pixels) // 2:] = pixels[len(pixels) // 2 - 1]
    return found


def _noisy_frames(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    found = pixels.copy()
    found[::2] = rng.integers(0, 256, pixels[::2].shape)
    return found


ATTACKS: dict[str, Attack] = {"white": _flat(255), "black": _flat(0), "grey": _flat(128), "noise": _noise,
                              "prompt_as_text": _prompt_as_text, "praise_as_text": _praise_as_text,
                              "shuffled_quarters": _shuffled}
"""What the gate asks; no model has seen these."""

LESSONS: dict[str, Attack] = {"colour": _colour, "stripes": _stripes, "gradient": _gradient,
                              "scrambled_rows": _scrambled_rows, "words_as_text": _words_as_text}
"""What a model may be taught to refuse; disjoint from what the gate asks."""


CLIP_ATTACKS: dict[str, Attack] = {"frozen": _frozen, "black_frames": _black_frames}
"""What the gate asks about clips besides."""

CLIP_LESSONS: dict[str, Attack] = {"jumbled": _jumbled, "stuck": _stuck, "noisy_frames": _noisy_frames}
"""What a model may be taught about clips besides."""

_ALL = ATTACKS | LESSONS | CLIP_ATTACKS | CLIP_LESSONS


def keys_for(frames: Frames, lessons: bool = False) -> list[str]:
    """Names of the attacks, or lessons, that fit a picture or a clip."""
    pictures, clips = (LESSONS, CLIP_LESSONS) if lessons else (ATTACKS, CLIP_ATTACKS)
    return sorted(pictures) + (sorted(clips) if len(frames.times_s) > 1 else [])


def attacked(frames: Frames, prompt: str, attack: str, seed: int) -> Frames:
    """The frames [T, H, W, 3] after an attack or lesson, at the same times."""
    change = _ALL[attack]
    name = f"{frames.name}/{attack}/{seed}" if frames.name else ""
    return Frames(change(np.asarray(frames.pixels), prompt, np.random.default_rng(seed)), frames.times_s, name)
