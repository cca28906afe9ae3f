"""Inputs that must not win: candidates that say nothing, set against real ones (One Token to Fool, arXiv 2507.08794).

Each attack turns a question into one whose right answer is "no": the candidate is blank, noise, the prompt drawn as
text, or spoiled; or, for `same`, into one whose right answer is even: the reference itself.
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


def _prompt_as_text(pixels: Pixels, prompt: str, rng: np.random.Generator) -> Pixels:
    picture = Image.new("RGB", (pixels.shape[2], pixels.shape[1]), "white")
    ImageDraw.Draw(picture).multiline_text((1, 1), prompt.replace(" ", "\n"), fill="black", font_size=8, spacing=0)
    return np.broadcast_to(np.asarray(picture), pixels.shape).copy()


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


ATTACKS: dict[str, Attack] = {"white": _flat(255), "black": _flat(0), "grey": _flat(128), "noise": _noise,
                              "prompt_as_text": _prompt_as_text, "shuffled_quarters": _shuffled}


def attacked(frames: Frames, prompt: str, attack: str, seed: int) -> Frames:
    """The frames [T, H, W, 3] after an attack, at the same times."""
    return Frames(ATTACKS[attack](np.asarray(frames.pixels), prompt, np.random.default_rng(seed)), frames.times_s)
