"""Yes-or-no questions about one picture: its objects, background and damage, up to whole prompts.

Easy questions ("red") teach the words, harder ones ("red circle" beside a red square) their binding, prompts the
counting and relations. The verdict follows the last word at once, and one picture gives many of them: a model of this
size that is only asked for verdicts on whole prompts, or after a "?", stays at chance for thousands of steps.

Left out on purpose: comparisons of two pictures, which only votes may teach.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from simulation.perception import Facts
from simulation.pretrain.pictures import Picture, background, near_miss, state
from simulation.scenes import COLOURS, MOTIONS, SHAPES, PromptSpec

Question = tuple[str, bool]
_NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four"}


def _facts(picture: Picture) -> Facts:
    return picture.facts[len(picture.facts) // 2]


def _one(names: Sequence[str], true: Sequence[str], rng: np.random.Generator) -> Question:
    """A name that is true or one that is not, evenly where there are both."""
    held = [name for name in names if name in true]
    other = [name for name in names if name not in true]
    chosen = held if held and (not other or rng.random() < 0.5) else other
    name = chosen[int(rng.integers(len(chosen)))]
    return name, name in true


def _colour(picture: Picture, rng: np.random.Generator) -> Question:
    return _one(list(COLOURS), [item.colour for item in _facts(picture).objects], rng)


def _shape(picture: Picture, rng: np.random.Generator) -> Question:
    return _one(SHAPES, [item.shape for item in _facts(picture).objects], rng)


def _object(picture: Picture, rng: np.random.Generator) -> Question:
    """Colour and shape; a wrong one shares a colour or a shape with what is there in two of three cases."""
    there = {(item.colour, item.shape) for item in _facts(picture).objects}
    everything = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    wrong = [pair for pair in everything if pair not in there]
    near = [(c, s) for c, s in wrong if any(c == colour or s == shape for colour, shape in there)]
    pool = sorted(there) if there and rng.random() < 0.5 else near if near and rng.random() < 0.67 else wrong
    pair = pool[int(rng.integers(len(pool)))]
    return " ".join(pair), pair in there


def _number(picture: Picture, rng: np.random.Generator) -> Question:
    count = len(_facts(picture).objects)
    name, true = _one(list(_NUMBERS.values()), [_NUMBERS.get(count, "")], rng)
    return f"{name} {'object' if name == 'one' else 'objects'}", true


def _look(picture: Picture, rng: np.random.Generator) -> Question:
    if rng.random() < 0.5:
        return _one(("clean", "noisy", "blurred"), [state(_facts(picture))], rng)
    name, true = _one(("warm", "cool", "neutral"), [background(_facts(picture))], rng)
    return f"{name} background", true


def _size(picture: Picture, rng: np.random.Generator) -> Question:
    objects = _facts(picture).objects
    if not objects:
        return _number(picture, rng)
    item = objects[int(rng.integers(len(objects)))]
    size = "small" if item.radius_px < 4.5 else "large" if item.radius_px > 4.9 else ""
    name, true = _one(("small", "large"), [size], rng)
    return f"{name} {item.colour} {item.shape}", true


def _motion(picture: Picture, rng: np.random.Generator) -> Question:
    name, true = _one(MOTIONS, [picture.motion], rng)
    return ("staying still" if name == "still" else f"moving {name}"), true


def _broken(picture: Picture, rng: np.random.Generator) -> Question:
    return "damaged", bool(picture.broken)


def ask_word(picture: Picture, rng: np.random.Generator) -> Question:
    """A question on single objects, their number, the background or damage, and its answer; half on a clip's motion.

    Where pictures may have been parted, a third are about that.
    """
    kinds: list[Callable[[Picture, np.random.Generator], Question]] = [_colour, _shape, _object, _object, _number]
    kinds += [_look, _size]
    kinds += len(kinds) * [_motion] if picture.motion else []
    kinds += len(kinds) // 2 * [_broken] if picture.broken is not None else []
    return kinds[int(rng.integers(len(kinds)))](picture, rng)


def ask(picture: Picture, spec: PromptSpec, rng: np.random.Generator) -> Question:
    """A word as in `ask_word`, or a whole prompt: `spec`, which the picture tried to show, or a near miss of it."""
    if rng.random() < 0.6:
        return ask_word(picture, rng)
    wanted = spec if rng.random() < 0.6 else near_miss(spec, rng)
    return wanted.text(), picture.matches(wanted)
