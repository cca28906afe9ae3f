"""What a reward model is shown: an ordered list of text and frames, and the answer it should give.

The layout is RewardDance's (arXiv 2509.08826, Fig. 3): image 1 is the reference, image 2 the candidate, and "yes" means
that image 2 wins. A template decides where the prompt stands; whatever stands before image 2 is the same for all
candidates of a prompt, and scoring reads it once.

Left out on purpose: tokens and pixels (families/), and the wording of instructions (instructions.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from warehouse.errors import ConfigError

SLOTS = ("prompt", "image_1", "image_2")
_SLOT = re.compile(r"\{(" + "|".join(SLOTS) + r")\}")


@dataclass(frozen=True)
class Text:
    """A piece of text."""

    text: str


PictureKey = tuple[str | int, float]


@dataclass(frozen=True, eq=False)
class Frames:
    """Pixels [T, H, W, 3], uint8 array or float tensor in [0, 1]; `times_s` has T entries, one image has T = 1.

    `name` is the content id of stored media: pictures of one name and time are one picture, whoever decoded them.
    """

    pixels: Any
    times_s: tuple[float, ...] = (0.0,)
    name: str = ""

    def keys(self) -> list[PictureKey]:
        """What tells each frame from others; without a name it holds as long as the pixels live."""
        return [(self.name or id(self.pixels), time) for time in self.times_s]


Part = Text | Frames


@dataclass(frozen=True, eq=False)
class Example:
    """Parts, the answer text after the verdict position (None when only scoring), the wanted P(yes) and a weight."""

    parts: tuple[Part, ...]
    answer: str | None = None
    target: float | None = None
    weight: float = 1.0


def fill(template: str, prompt: str, image_1: Frames | None, image_2: Frames | None) -> tuple[Part, ...]:
    """Parts of a template with slots {prompt} {image_1} {image_2}; raises ConfigError for a slot without its image."""
    parts: list[Part] = []
    text = ""
    images = {"image_1": image_1, "image_2": image_2}
    for piece in _SLOT.split(template):
        if piece == "prompt":
            text += prompt
        elif piece in images:
            frames = images[piece]
            if frames is None:
                raise ConfigError(f"the template names {{{piece}}}, but there is no such image")
            parts.extend([Text(text)] if text.strip() else [])
            parts.append(frames)
            text = ""
        else:
            text += piece
    return tuple([*parts, Text(text)] if text.strip() else parts)


def pairwise(template: str, prompt: str, reference: Frames, candidate: Frames, target: float | None = None,
             answer: str | None = None) -> Example:
    """"Is image 2 better than image 1?" with the reference as image 1; `target` is the wanted P(yes)."""
    return Example(fill(template, prompt, reference, candidate), answer=answer, target=target)
