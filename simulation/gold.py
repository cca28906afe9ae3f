"""The exact gold score of any image or clip against a prompt, per dimension, from pixels alone.

It knows nothing of who made the picture. Every term is a product or mean of smooth ramps over `perception` facts
averaged over three thresholds, so that a score falls gradually with damage. Scores are in [0, 1]:

    alignment  counts, colours, shapes, named sizes, relation and motion are as the prompt says
    quality    clean background, sharp outlines, nothing unexplained
    motion     steady movement of an object that stays itself (1 for images)
    size       mean object radius, 3 px -> 0, 7 px -> 1
    warmth     background tint, cool 0 -> warm 1
    presence   there is anything at all

Imported by annotators and evaluation only: pretraining, rm/ and alignment/ cannot reach it (an import contract).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simulation.perception import Facts, Seen, look, smoothstep
from simulation.scenes import SHAPES, Group, PromptSpec, parse_prompt
from warehouse.media.decode import decode_frames

SCORES = ("alignment", "quality", "motion", "size", "warmth", "presence")
_STEP = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}


def _belonging(item: Seen, group: Group) -> float:
    """How much a region counts as one of the group's objects."""
    if item.colour != group.colour:
        return 0.0
    return item.presence * item.shapes[SHAPES.index(group.shape)] * smoothstep(item.fit, 0.35, 0.75)


def _count_score(found: float, wanted: int) -> float:
    return float(np.exp(-((found - wanted) ** 2) / 0.72))


def _group_score(layer: tuple[Seen, ...], group: Group) -> float:
    """0.6 right objects + 0.2 the colour is there + 0.2 the shape is there; a named size scales the first."""
    weights = [_belonging(item, group) for item in layer]
    found = sum(weights)
    colour = sum(item.presence for item in layer if item.colour == group.colour)
    shape = sum(item.presence * item.shapes[SHAPES.index(group.shape)] for item in layer)
    right = _count_score(found, group.count)
    if group.size and found > 0.05:
        radius = sum(w * item.radius_px for w, item in zip(weights, layer, strict=True)) / found
        right *= smoothstep(radius, 4.0, 5.6) if group.size == "large" else smoothstep(radius, 5.2, 4.0)
    return 0.6 * right + 0.2 * min(1.0, colour / group.count) + 0.2 * min(1.0, shape / group.count)


def _centre(layer: tuple[Seen, ...], group: Group) -> tuple[float, float, float]:
    """Weighted centre of the group's objects and the weight found."""
    weights = [_belonging(item, group) for item in layer]
    total = sum(weights)
    if total < 1e-3:
        return 16.0, 16.0, 0.0
    x = sum(w * item.x_px for w, item in zip(weights, layer, strict=True)) / total
    y = sum(w * item.y_px for w, item in zip(weights, layer, strict=True)) / total
    return x, y, min(total, 1.0)


def _relation_score(layer: tuple[Seen, ...], spec: PromptSpec) -> float:
    first, second = (_centre(layer, group) for group in spec.groups)
    axis = 0 if spec.relation == "left of" else 1
    return first[2] * second[2] * smoothstep(second[axis] - first[axis], -2.0, 5.0)


def _layer_alignment(layer: tuple[Seen, ...], spec: PromptSpec) -> float:
    score = float(np.mean([_group_score(layer, group) for group in spec.groups]))
    if spec.relation:
        score = 0.7 * score + 0.3 * _relation_score(layer, spec)
    wanted = sum(group.count for group in spec.groups)
    extras = max(0.0, sum(item.presence for item in layer) - wanted)
    return score * float(np.exp(-0.35 * extras))


def _picture_alignment(facts: Facts, spec: PromptSpec) -> float:
    return float(np.mean([_layer_alignment(layer, spec) for layer in facts.layers]))


def _quality(facts: Facts) -> float:
    clean = float(np.exp(-facts.grain / 0.045))
    sharp = smoothstep(facts.softness, 7.5, 1.8)
    explained = float(np.exp(-facts.unexplained / 0.05))
    return 0.4 * clean + 0.35 * sharp + 0.25 * explained


def _looks(frames: list[Facts]) -> tuple[float, float, float]:
    """size, warmth, presence over all frames."""
    seen = [item for facts in frames for layer in facts.layers for item in layer]
    total = sum(item.presence for item in seen)
    radius = sum(item.presence * item.radius_px for item in seen) / total if total > 0.01 else 0.0
    presence = min(1.0, total / (len(frames) * 3))
    return min(max((radius - 3.0) / 4.0, 0.0), 1.0), float(np.mean([f.warmth for f in frames])), presence


def _track(frames: list[Facts], group: Group) -> NDArray[np.float64]:
    """x, y, weight of the group's objects in each frame, [T, 3], at the middle threshold."""
    return np.array([_centre(facts.layers[1], group) for facts in frames])


def _direction_score(track: NDArray[np.float64], motion: str) -> float:
    """1 where the fitted velocity is at least 0.9 px a frame the asked way and little sideways."""
    time = np.arange(len(track)) - (len(track) - 1) / 2
    velocity = (time[:, None] * track[:, :2]).sum(0) / (time**2).sum()
    seen = float(track[:, 2].mean())
    if motion == "still":
        return seen * float(np.exp(-((np.hypot(*velocity) / 0.45) ** 2)))
    along = float(velocity @ np.array(_STEP[motion]))
    across = float(np.hypot(*velocity) ** 2 - along**2) ** 0.5 if np.hypot(*velocity) > abs(along) else 0.0
    return seen * smoothstep(along, 0.0, 0.9) * float(np.exp(-((across / 0.8) ** 2)))


def _motion_score(track: NDArray[np.float64], frames: list[Facts]) -> float:
    """Steady path (residual of a straight line), constant area, present in every frame."""
    time = np.vstack([np.ones(len(track)), np.arange(len(track))]).T
    fit, *_ = np.linalg.lstsq(time, track[:, :2], rcond=None)
    jitter = float(np.sqrt(((track[:, :2] - time @ fit) ** 2).sum(1).mean()))
    areas = np.array([sum(s.area_px * s.presence for s in facts.layers[1]) for facts in frames])
    change = float(areas.std() / max(areas.mean(), 1.0))
    steady = float(np.exp(-((jitter / 1.2) ** 2)))
    return float(track[:, 2].mean()) * (0.5 * steady + 0.5 * float(np.exp(-((change / 0.35) ** 2))))


def score_frames(frames: NDArray[np.uint8], prompt: str) -> dict[str, float]:
    """Scores of uint8 [T, 32, 32, 3] (T = 1 for an image); raises InvalidInputError for a foreign prompt."""
    spec = parse_prompt(prompt)
    facts = [look(frame) for frame in frames]
    alignment = float(np.mean([_picture_alignment(f, spec) for f in facts]))
    motion = 1.0
    if spec.motion:
        track = _track(facts, spec.groups[0])
        direction = _direction_score(track, spec.motion) if len(facts) > 1 else 0.0
        alignment = 0.55 * alignment + 0.45 * direction
        motion = _motion_score(track, facts) if len(facts) > 1 else 0.0
    size, warmth, presence = _looks(facts)
    quality = float(np.mean([_quality(f) for f in facts]))
    values = (alignment, quality, motion, size, warmth, presence)
    return {name: float(value) for name, value in zip(SCORES, values, strict=True)}


@lru_cache(maxsize=16384)
def _score_bytes(data: bytes, prompt: str) -> tuple[tuple[str, float], ...]:
    frames, _ = decode_frames(data)
    return tuple(score_frames(to_world(frames), prompt).items())


def score_media(data: bytes, prompt: str) -> dict[str, float]:
    """Scores of stored PNG or MP4 bytes; a whole-number zoom is undone by averaging."""
    return dict(_score_bytes(data, prompt))


def to_world(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [T, k 32, k 32, 3] -> [T, 32, 32, 3] by averaging k x k blocks."""
    zoom = frames.shape[1] // 32
    if zoom == 1:
        return frames
    blocks = frames.reshape(frames.shape[0], 32, zoom, 32, zoom, 3).astype(np.float32)
    averaged: NDArray[np.uint8] = np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)
    return averaged
