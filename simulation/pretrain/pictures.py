"""Pictures for pretraining with what can be seen in each: renders, near misses, damage, and generators' samples.

A chunk holds, for each drawn prompt, four pictures that try to show it, as four candidates would. Every chunk follows
from (seed, number) alone, so that training can stop and go on anywhere. Facts come from perception, never from the
scene that was drawn: damage may hide an object, and samples have no scene.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from simulation.perception import Facts, look, shows
from simulation.render import render_clip, render_image
from simulation.scenes import (
    COLOURS,
    MOTIONS,
    PLURALS,
    RELATIONS,
    SHAPES,
    SIZES,
    Group,
    PromptSpec,
    clip_specs,
    draw_scene,
    image_specs,
)

Pixels = NDArray[np.uint8]
Sampler = Callable[[Sequence[str], int], Pixels]
TRIES = 4
SHIFT_PX = 5
CLIP_SEEN = (0, 2, 5, 7)
_COUNTS = {1: "a", 2: "two", 3: "three", 4: "four"}


@dataclass(frozen=True, eq=False)
class Picture:
    """Frames uint8 [T, 32, 32, 3] (4 of a clip's 8), the facts of each, and the seen motion ("" for images).

    `broken` says whether its parts were exchanged and it shows other objects since; None where that is not asked.
    """

    pixels: Pixels
    facts: tuple[Facts, ...]
    motion: str
    broken: bool | None = None

    def matches(self, spec: PromptSpec) -> bool:
        """True where it shows what the prompt names, in most frames of a clip, and moves so."""
        seen = sum(shows(facts, replace(spec, motion="")) for facts in self.facts)
        return 2 * seen > len(self.facts) and self.motion == spec.motion


@lru_cache(maxsize=2)
def _specs(clips: bool) -> tuple[tuple[PromptSpec, ...], tuple[PromptSpec, ...]]:
    """(one kind of object, two in a relation); the second is empty for clips."""
    specs = tuple(clip_specs() if clips else image_specs())
    return tuple(s for s in specs if not s.relation), tuple(s for s in specs if s.relation)


def draw_spec(clips: bool, rng: np.random.Generator) -> PromptSpec:
    """Half single or counted prompts, half relations; clips have no relations."""
    plain, related = _specs(clips)
    chosen = related if related and rng.random() < 0.5 else plain
    return chosen[int(rng.integers(len(chosen)))]


def _pick(names: Sequence[str], other_than: str, rng: np.random.Generator) -> str:
    left = [name for name in names if name != other_than]
    return left[int(rng.integers(len(left)))]


def near_miss(spec: PromptSpec, rng: np.random.Generator) -> PromptSpec:
    """The prompt with one thing changed: colour, shape, count, size, relation or motion."""
    kinds = ["colour", "shape"]
    kinds += ["turn"] if spec.relation else []
    kinds += ["count"] * 2 if not spec.relation and not spec.motion else []
    kinds += ["size"] if spec.groups[0].size else []
    kinds += ["motion"] * 3 if spec.motion else []
    kind = kinds[int(rng.integers(len(kinds)))]
    if kind == "turn":
        return replace(spec, relation=_pick(RELATIONS, spec.relation, rng)) if rng.random() < 0.5 else replace(
            spec, groups=spec.groups[::-1])
    if kind == "motion":
        return replace(spec, motion=_pick(MOTIONS, spec.motion, rng))
    place = int(rng.integers(len(spec.groups)))
    groups = list(spec.groups)
    groups[place] = _changed(groups[place], kind, rng)
    return spec if len(set(groups)) < len(groups) else replace(spec, groups=tuple(groups))


def _changed(group: Group, kind: str, rng: np.random.Generator) -> Group:
    if kind == "colour":
        return replace(group, colour=_pick(tuple(COLOURS), group.colour, rng))
    if kind == "shape":
        return replace(group, shape=_pick(SHAPES, group.shape, rng))
    if kind == "size":
        return replace(group, size=_pick(SIZES, group.size, rng))
    return replace(group, count=int(_pick(("1", "2", "3", "4"), str(group.count), rng)), size="")


def damage(frames: Pixels, rng: np.random.Generator) -> Pixels:
    """Half the time nothing; else blur, grain, a faded or moved patch, or a mixture, the same in every frame."""
    if rng.random() < 0.5:
        return frames
    values: NDArray[np.floating] = frames.astype(np.float32)
    kind = int(rng.integers(4))
    if kind in (0, 3):
        values = ndimage.gaussian_filter(values, (0, *(2 * [float(rng.uniform(0.4, 1.3))]), 0))
    if kind in (1, 3):
        values = values + rng.normal(0, float(rng.uniform(4, 22)), values.shape)
    if kind == 2:
        for _ in range(int(rng.integers(1, 3))):
            _spoil_patch(values, rng)
    spoiled: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return spoiled


def _shifted(frames: Pixels, rng: np.random.Generator) -> Pixels:
    """Half the time moved as a whole by up to SHIFT_PX; what comes in continues the border.

    A clip's first frame says where it will go: what moves right starts on the left. A model that could go by that would
    not look at the motion.
    """
    if rng.random() < 0.5:
        return frames
    y, x = (int(v) for v in rng.integers(0, 2 * SHIFT_PX + 1, 2))
    wide = np.pad(frames, ((0, 0), (SHIFT_PX, SHIFT_PX), (SHIFT_PX, SHIFT_PX), (0, 0)), mode="edge")
    height, width = frames.shape[1:3]
    return wide[:, y:y + height, x:x + width]


def _spoil_patch(values: NDArray[np.floating], rng: np.random.Generator) -> None:
    """A square of 8 px becomes a copy of another one, or fades towards the background."""
    y, x, from_y, from_x = (int(v) for v in rng.integers(0, 25, 4))
    if rng.random() < 0.5:
        values[:, y:y + 8, x:x + 8] = values[:, from_y:from_y + 8, from_x:from_x + 8].copy()
    else:
        ground = np.median(values, axis=(1, 2), keepdims=True)
        values[:, y:y + 8, x:x + 8] += float(rng.uniform(0.3, 1.0)) * (ground - values[:, y:y + 8, x:x + 8])


def _motion(facts: Sequence[Facts]) -> str:
    """Where the largest object went between the first and the last seen frame; "" where it cannot be followed."""
    if len(facts) < 2 or not facts[0].objects or not facts[-1].objects:
        return ""
    first, last = (max(item.objects, key=lambda seen: seen.area_px) for item in (facts[0], facts[-1]))
    dx, dy = last.x_px - first.x_px, last.y_px - first.y_px
    if max(abs(dx), abs(dy)) < 2.5:
        return "still"
    if abs(dx) > abs(dy):
        return "right" if dx > 0 else "left"
    return "down" if dy > 0 else "up"


def see(frames: Pixels) -> Picture:
    """A picture with its facts; of a clip's 8 frames the 4 that a reward model is shown."""
    kept = frames[list(CLIP_SEEN)] if len(frames) == 8 else frames
    facts = tuple(look(frame) for frame in kept)
    return Picture(kept, facts, _motion(facts))


def parted(picture: Picture, rng: np.random.Generator) -> Picture:
    """Half the time cut along a random line across or down, and its parts exchanged."""
    if rng.random() < 0.5:
        return replace(picture, broken=False)
    axis = int(rng.integers(1, 3))
    cut = see(np.roll(picture.pixels, int(rng.integers(6, picture.pixels.shape[axis] - 5)), axis))
    return replace(cut, broken=_objects(cut) != _objects(picture))


def _objects(picture: Picture) -> list[list[tuple[str, str]]]:
    return [sorted((item.colour, item.shape) for item in facts.objects) for facts in picture.facts]


def background(facts: Facts) -> str:
    """Tint in a word."""
    return "warm" if facts.warmth > 0.62 else "cool" if facts.warmth < 0.38 else "neutral"


def state(facts: Facts) -> str:
    """Damage in a word."""
    return "noisy" if facts.grain > 0.03 else "blurred" if facts.softness > 4.5 else "clean"


def caption(picture: Picture) -> str:
    """What is there, in prompt words: objects with sizes, motion, background and state."""
    middle = picture.facts[len(picture.facts) // 2]
    found: dict[tuple[str, str, str], list[float]] = {}
    for item in middle.objects:
        size = "small" if item.radius_px < 4.2 else "large" if item.radius_px > 5.5 else ""
        found.setdefault((size, item.colour, item.shape), []).append(item.x_px + item.y_px)
    phrases = []
    for (size, colour, shape), places in sorted(found.items(), key=lambda entry: min(entry[1])):
        count = _COUNTS.get(len(places), "more")
        noun = shape if len(places) == 1 else PLURALS[shape]
        phrases.append(" ".join(word for word in (count, size, colour, noun) if word))
    moves = f" moving {picture.motion} ." if picture.motion else ""
    return f"{' and '.join(phrases) or 'nothing'} .{moves} background {background(middle)} . {state(middle)}"


def chunk(seed: int, number: int, prompts: int, clips: bool, sample: Sampler | None, part: bool = False
          ) -> list[tuple[PromptSpec, list[Picture]]]:
    """`prompts` prompts with four tries each: renders and near misses with damage, or a generator's samples.

    `part` exchanges the parts of some.
    """
    rng = np.random.default_rng((seed, number, int(clips)))
    specs = [draw_spec(clips, rng) for _ in range(prompts)]
    if sample is not None:
        tried = [text for spec in specs for text in [spec.text()] * TRIES]
        frames = sample(tried, int(rng.integers(2**31)))
    else:
        render = render_clip if clips else render_image
        wanted = [spec if rng.random() < 0.5 else near_miss(spec, rng) for spec in specs for _ in range(TRIES)]
        frames = np.stack([damage(render(draw_scene(spec, rng)), rng) for spec in wanted])
    pictures = [see(_shifted(item, rng) if clips else item) for item in frames]
    pictures = [parted(picture, rng) for picture in pictures] if part else pictures
    return [(spec, pictures[TRIES * index:TRIES * (index + 1)]) for index, spec in enumerate(specs)]
