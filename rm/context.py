"""What a reward model is shown: an ordered list of text and frames, and the answer it should give.

The layout is RewardDance's (arXiv 2509.08826, Fig. 3): image 1 is the reference, image 2 the candidate, and "yes" means
that image 2 wins. A template decides where the prompt stands; whatever stands before image 2 is the same for all
candidates of a prompt, and scoring reads it once. Context is scaled by what may stand there besides: the picture that
an edit or a clip starts from, further references, worked examples with their verdicts.

Left out on purpose: tokens and pixels (families/), and the wording of instructions (instructions.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from warehouse.errors import ConfigError

SLOTS = ("prompt", "image_1", "image_2", "condition", "references")
_SLOT = re.compile(r"\{(" + "|".join(SLOTS) + r")\}")


@dataclass(frozen=True)
class Text:
    """A piece of text."""

    text: str


PictureKey = tuple[str | int, tuple[float, ...]]


@dataclass(frozen=True, eq=False)
class Frames:
    """Pixels [T, H, W, 3], uint8 array or float tensor in [0, 1]; `times_s` has T entries, one image has T = 1.

    `name` is the content id of stored media: pictures of one name and time are one picture, whoever decoded them.
    """

    pixels: Any
    times_s: tuple[float, ...] = (0.0,)
    name: str = ""

    @property
    def key(self) -> PictureKey:
        """What tells it from others; without a name it holds as long as the pixels live."""
        return self.name or id(self.pixels), self.times_s

    def moments(self, length: int) -> list[Moment]:
        """What a model reads as one picture each: an image, or `length` frames in a row of a clip.

        The last frame is repeated where they run out, as Qwen's processors do.
        """
        count = len(self.times_s)
        size = length if count > 1 else 1
        places = [tuple(min(place, count - 1) for place in range(start, start + size))
                  for start in range(0, count, size)]
        return [Moment(self, each) for each in places]


@dataclass(frozen=True, eq=False)
class Moment:
    """One or a few frames of an image or a clip, by their places in it."""

    of: Frames
    places: tuple[int, ...]

    @property
    def pixels(self) -> Any:
        """[frames, H, W, 3]."""
        return self.of.pixels[list(self.places)]

    @property
    def time_s(self) -> float:
        """Midway between its first and its last frame."""
        return (self.of.times_s[self.places[0]] + self.of.times_s[self.places[-1]]) / 2

    @property
    def key(self) -> PictureKey:
        """As that of its frames, with its own times."""
        return self.of.key[0], tuple(self.of.times_s[place] for place in self.places)


Part = Text | Frames


@dataclass(frozen=True, eq=False)
class Context:
    """What a question shows beside the prompt and its two candidates; `shots` are worked examples, parts as they stand.

    `condition` is the picture that an edit or a clip starts from, `references` are further ones, best first.
    """

    condition: Frames | None = None
    references: tuple[Frames, ...] = ()
    shots: tuple[Part, ...] = ()


NO_CONTEXT = Context()


@dataclass(frozen=True, eq=False)
class Example:
    """Parts, and what the answer should be.

    `reason` is said before the verdict ("" where the verdict comes first), `answer` from the verdict on (None when only
    scoring); `target` is the wanted P(yes), `tie` how much of it is that of a tie.
    """

    parts: tuple[Part, ...]
    answer: str | None = None
    target: float | None = None
    weight: float = 1.0
    reason: str = ""
    tie: float = 0.0


def fill(template: str, prompt: str, image_1: Frames | None, image_2: Frames | None,
         context: Context = NO_CONTEXT) -> tuple[Part, ...]:
    """Parts of a template with slots {prompt} {image_1} {image_2} {condition} {references}, worked examples first.

    `{references}` takes as many as there are, none included. Raises ConfigError for another slot without its image.
    """
    parts: list[Part] = [*context.shots]
    text = ""
    images = {"image_1": image_1, "image_2": image_2, "condition": context.condition}
    for piece in _SLOT.split(template):
        if piece in images or piece == "references":
            frames = [images[piece]] if piece in images else [*context.references]
            if None in frames:
                raise ConfigError(f"the template names {{{piece}}}, but there is no such image")
            parts.extend([Text(text)] if text.strip() else [])
            parts.extend(each for each in frames if each is not None)
            text = ""
        else:
            text += prompt if piece == "prompt" else piece
    return tuple([*parts, Text(text)] if text.strip() else parts)


def pairwise(template: str, prompt: str, reference: Frames, candidate: Frames, target: float | None = None,
             answer: str | None = None, context: Context = NO_CONTEXT) -> Example:
    """"Is image 2 better than image 1?" with the reference as image 1; `target` is the wanted P(yes)."""
    return Example(fill(template, prompt, reference, candidate, context), answer=answer, target=target)
