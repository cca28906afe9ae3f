"""The nouns of the toy world: prompts and the scenes they name.

A prompt is text with a small grammar ("three blue squares", "a red circle left of a green cross",
"a purple triangle moving up"); `parse_prompt` is its exact inverse. A scene is what the renderer draws: objects with
place and size, a background tint, and a velocity for clips. What a prompt leaves open (places, unnamed sizes, the
tint) is free, and that freedom is where the raters' taste lives.

Left out on purpose: drawing (render.py), reading pixels (perception.py) and judging (gold.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from warehouse.errors import InvalidInputError

SIDE_PX = 32
CLIP_FRAMES = 8
CLIP_FPS = 4.0
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "yellow": (240, 180, 0),
    "green": (40, 150, 70),
    "blue": (40, 90, 220),
    "purple": (150, 50, 180),
    "black": (35, 35, 40),
}
SHAPES = ("circle", "square", "triangle", "cross")
PLURALS = {"circle": "circles", "square": "squares", "triangle": "triangles", "cross": "crosses"}
SIZES = ("small", "large")
COUNT_WORDS = {1: "a", 2: "two", 3: "three", 4: "four"}
RELATIONS = ("left of", "above")
MOTIONS = ("left", "right", "up", "down", "still")
# Held out of every vote, reward-model sample and RL prompt: combinations and a count that only the OOD split shows.
OOD_COMBINATIONS = frozenset({("red", "triangle"), ("green", "cross"), ("blue", "circle"), ("black", "square")})
OOD_COUNT = 4


@dataclass(frozen=True)
class Group:
    """`count` objects of one colour and shape; `size` is "small", "large" or "" where the prompt leaves it open."""

    count: int
    colour: str
    shape: str
    size: str = ""

    def text(self) -> str:
        noun = self.shape if self.count == 1 else PLURALS[self.shape]
        return " ".join(word for word in (COUNT_WORDS[self.count], self.size, self.colour, noun) if word)


@dataclass(frozen=True)
class PromptSpec:
    """What a prompt asks for: one group, or two single objects in a relation; `motion` is "" for images."""

    groups: tuple[Group, ...]
    relation: str = ""
    motion: str = ""

    def text(self) -> str:
        text = f" {self.relation} ".join(group.text() for group in self.groups)
        if self.motion == "still":
            return f"{text} staying still"
        return f"{text} moving {self.motion}" if self.motion else text

    @property
    def domain(self) -> str:
        """`ood` where a held-out combination or count is named, else `id`."""
        held_out = any((g.colour, g.shape) in OOD_COMBINATIONS or g.count == OOD_COUNT for g in self.groups)
        return "ood" if held_out else "id"


@dataclass(frozen=True)
class SceneObject:
    """One object; centre and radius (half extent) in pixels of a 32 px picture, y down."""

    colour: str
    shape: str
    x_px: float
    y_px: float
    radius_px: float


@dataclass(frozen=True)
class Scene:
    """Objects over a background; tint runs from -1 (cool) to 1 (warm), velocity in pixels a frame."""

    objects: tuple[SceneObject, ...]
    tint: float
    velocity_px: tuple[float, float] = (0.0, 0.0)


def _parse_group(words: list[str], text: str) -> Group:
    counts = {word: count for count, word in COUNT_WORDS.items()}
    singular = {plural: shape for shape, plural in PLURALS.items()} | {shape: shape for shape in SHAPES}
    size = words[1] if len(words) == 4 else ""
    if len(words) not in (3, 4) or (size and size not in SIZES):
        raise InvalidInputError(f"not a prompt of the simulated world: {text!r}", hint="see simulation/scenes.py")
    count, colour, shape = counts.get(words[0]), words[-2], singular.get(words[-1])
    if count is None or colour not in COLOURS or shape is None:
        raise InvalidInputError(f"not a prompt of the simulated world: {text!r}", hint="see simulation/scenes.py")
    return Group(count, colour, shape, size)


def parse_prompt(text: str) -> PromptSpec:
    """Inverse of `PromptSpec.text`; raises InvalidInputError for any other text."""
    body, motion = text, ""
    if text.endswith(" staying still"):
        body, motion = text.removesuffix(" staying still"), "still"
    elif " moving " in text:
        body, motion = text.rsplit(" moving ", 1)
    relation = next((name for name in RELATIONS if f" {name} " in body), "")
    parts = body.split(f" {relation} ") if relation else [body]
    spec = PromptSpec(tuple(_parse_group(part.split(), text) for part in parts), relation, motion)
    if spec.text() != text:
        raise InvalidInputError(f"not a prompt of the simulated world: {text!r}", hint="see simulation/scenes.py")
    return spec


def image_specs() -> Iterator[PromptSpec]:
    """Every image prompt of the grammar, in a fixed order: single, sized, counted, related."""
    kinds = list(itertools.product(COLOURS, SHAPES))
    for colour, shape in kinds:
        for size in ("", *SIZES):
            yield PromptSpec((Group(1, colour, shape, size),))
        for count in (2, 3, 4):
            yield PromptSpec((Group(count, colour, shape),))
    for first, second, relation in itertools.product(kinds, kinds, RELATIONS):
        if first != second:
            yield PromptSpec((Group(1, *first), Group(1, *second)), relation)


def clip_specs() -> Iterator[PromptSpec]:
    """Every clip prompt: one object (any size, or a named one) and its motion."""
    for colour, shape, size, motion in itertools.product(COLOURS, SHAPES, ("", *SIZES), MOTIONS):
        yield PromptSpec((Group(1, colour, shape, size),), motion=motion)


_DIRECTIONS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0), "still": (0.0, 0.0)}
_RADIUS_RANGES = {"small": (2.9, 4.0), "large": (5.6, 7.4), "": (3.0, 7.2)}


def _draw_radius(group: Group, objects_in_scene: int, rng: np.random.Generator) -> float:
    low, high = _RADIUS_RANGES[group.size]
    most = {1: 7.4, 2: 6.4, 3: 5.4}.get(objects_in_scene, 4.8)
    return float(rng.uniform(low, min(high, most)))


def _place(spec: PromptSpec, velocity: tuple[float, float], rng: np.random.Generator) -> tuple[SceneObject, ...] | None:
    """One try at places without overlap that satisfy the relation; None where it failed."""
    wanted = [group for group in spec.groups for _ in range(group.count)]
    shared_radius = _draw_radius(wanted[0], len(wanted), rng)
    placed: list[SceneObject] = []
    for group in wanted:
        radius = shared_radius if len(spec.groups) == 1 else _draw_radius(group, len(wanted), rng)
        reach = radius * 1.25
        ends = [
            sorted((reach - v * k, SIDE_PX - reach - v * k))
            for v, k in ((velocity[0], CLIP_FRAMES - 1), (velocity[1], CLIP_FRAMES - 1))
        ]
        low = [max(reach, end[0]) for end in ends]
        high = [min(SIDE_PX - reach, end[1]) for end in ends]
        x, y = (float(rng.uniform(a, max(a, b))) for a, b in zip(low, high, strict=True))
        if any(np.hypot(x - o.x_px, y - o.y_px) < 1.22 * (radius + o.radius_px) + 1.0 for o in placed):
            return None
        placed.append(SceneObject(group.colour, group.shape, x, y, radius))
    if spec.relation:
        axis = "x_px" if spec.relation == "left of" else "y_px"
        if getattr(placed[1], axis) - getattr(placed[0], axis) < 7.0:
            return None
    return tuple(placed)


def draw_scene(spec: PromptSpec, rng: np.random.Generator) -> Scene:
    """A random scene that satisfies `spec` exactly; tint, places and unnamed sizes are free."""
    direction = _DIRECTIONS[spec.motion or "still"]
    speed = float(rng.uniform(1.1, 2.0))
    velocity = (direction[0] * speed, direction[1] * speed)
    while True:
        objects = _place(spec, velocity, rng)
        if objects is not None:
            return Scene(objects, float(rng.uniform(-1.0, 1.0)), velocity)
