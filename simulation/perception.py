"""What can be seen in any picture, read from its pixels alone: objects, colours, shapes, sizes, places, damage.

`look` knows nothing of who made the picture or of any prompt. It estimates the background, explains each pixel as
background plus a share of one palette colour (so blur keeps an object's mass), and takes connected regions at three
thresholds, so that an object fades rather than vanishes. Facts are what pretraining may see; scores and comparisons
are in gold.py, which pretraining cannot import.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from simulation.render import SHAPE_AREA, coverage
from simulation.scenes import COLOURS, SHAPES, SIDE_PX, Group, PromptSpec

_PALETTE = np.array(list(COLOURS.values()), np.float32) / 255.0
_NAMES = tuple(COLOURS)
_THRESHOLDS = (0.3, 0.5, 0.7)
_SHAPE_SHARPNESS = 24.0
_RESIDUAL_WIDTH = 0.10


@dataclass(frozen=True)
class Seen:
    """One region: `presence` in [0, 1] fades with its area; `shapes` are likelihoods in the order of SHAPES."""

    colour: str
    presence: float
    x_px: float
    y_px: float
    area_px: float
    shapes: tuple[float, ...]
    fit: float

    @property
    def shape(self) -> str:
        return SHAPES[int(np.argmax(self.shapes))]

    @property
    def radius_px(self) -> float:
        return float(np.sqrt(self.area_px / SHAPE_AREA[self.shape]))


@dataclass(frozen=True)
class Facts:
    """Regions at each threshold, the background's RGB in [0, 1], and three kinds of damage (0 = none)."""

    layers: tuple[tuple[Seen, ...], ...]
    background: tuple[float, float, float]
    grain: float
    softness: float
    unexplained: float

    @property
    def objects(self) -> tuple[Seen, ...]:
        """The regions at the middle threshold that clearly exist."""
        return tuple(seen for seen in self.layers[1] if seen.presence > 0.5)

    @property
    def warmth(self) -> float:
        """0 (cool background) to 1 (warm), 0.5 neutral."""
        return float(np.clip(0.5 + (self.background[0] - self.background[2]) / 0.54, 0.0, 1.0))


def smoothstep(value: float, low: float, high: float) -> float:
    """0 below `low`, 1 above `high`, a smooth S between; high < low turns it round."""
    x = min(max((value - low) / (high - low), 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


def _explain(
    picture: NDArray[np.float32], ground: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Share of each palette colour [C, H, W] in [0, 1], and what no colour explains [H, W]."""
    direction = _PALETTE - ground
    offset = picture - ground
    length = (direction**2).sum(1)
    share = np.clip(np.einsum("hwk,ck->chw", offset, direction) / length[:, None, None], 0.0, 1.0)
    residual = np.sqrt(((offset[None] - share[..., None] * direction[:, None, None]) ** 2).sum(-1))
    logits = -((residual / _RESIDUAL_WIDTH) ** 2)
    weight = np.exp(logits - logits.max(0))
    weight /= weight.sum(0)
    return (weight * share).astype(np.float32), residual.min(0)


def _shape_fit(mask: NDArray[np.float32], x_px: float, y_px: float, area: float) -> tuple[tuple[float, ...], float]:
    """Likelihood of each shape by overlap with an equal-area template, and the best overlap."""
    overlaps = np.empty(len(SHAPES))
    for index, shape in enumerate(SHAPES):
        template = coverage(shape, x_px, y_px, float(np.sqrt(area / SHAPE_AREA[shape])))
        overlaps[index] = np.minimum(mask, template).sum() / max(np.maximum(mask, template).sum(), 1e-6)
    likelihood = np.exp(_SHAPE_SHARPNESS * (overlaps - overlaps.max()))
    return tuple(float(v) for v in likelihood / likelihood.sum()), float(overlaps.max())


def _regions(colour: str, share: NDArray[np.float32], threshold: float) -> list[Seen]:
    labels, count = ndimage.label(share > threshold)
    seen = []
    grown = ndimage.grey_dilation(labels, size=(3, 3)) if count else labels
    for index in range(1, count + 1):
        mask = np.where((labels == index) | ((labels == 0) & (grown == index)), share, 0.0)
        area = float(mask.sum())
        presence = smoothstep(area, 4.0, 11.0)
        if presence <= 0.0:
            continue
        y, x = ndimage.center_of_mass(mask)
        shapes, fit = _shape_fit(mask, x + 0.5, y + 0.5, area)
        seen.append(Seen(colour, presence, x + 0.5, y + 0.5, area, shapes, fit))
    return seen


def look(picture: NDArray[np.uint8]) -> Facts:
    """Facts of one RGB picture uint8 [32, 32, 3]; any content is allowed, blank and noise included."""
    return _look(np.ascontiguousarray(picture).tobytes())


@lru_cache(maxsize=256)
def _look(picture: bytes) -> Facts:
    # Cached because a picture is scored and then held against its prompt, or against several prompts.
    pixels = np.frombuffer(picture, np.uint8).reshape(SIDE_PX, SIDE_PX, 3).astype(np.float32) / 255.0
    ground = np.median(pixels.reshape(-1, 3), axis=0).astype(np.float32)
    shares, residual = _explain(pixels, ground)
    present = [index for index in range(len(_NAMES)) if shares[index].sum() > 4.0]
    layers = tuple(
        tuple(seen for index in present for seen in _regions(_NAMES[index], shares[index], threshold))
        for threshold in _THRESHOLDS
    )
    covered = shares.sum(0)
    open_ground = ndimage.maximum_filter(covered, size=3) < 0.12
    grain = float(np.abs(pixels - ground)[open_ground].mean()) if open_ground.any() else 0.25
    mass = float(shares.sum())
    edge = float((shares * (1.0 - shares)).sum() / (np.sqrt(max(mass, 1.0)) * 0.62))
    return Facts(layers, (float(ground[0]), float(ground[1]), float(ground[2])), grain, edge, float(residual.mean()))


def _matches_group(seen: tuple[Seen, ...], group: Group) -> list[Seen]:
    return [item for item in seen if (item.colour, item.shape) == (group.colour, group.shape)]


def _size_holds(item: Seen, size: str) -> bool:
    return {"large": item.radius_px > 4.9, "small": item.radius_px < 4.5, "": True}[size]


def shows(facts: Facts, spec: PromptSpec) -> bool:
    """True where the picture shows exactly what the prompt names (motion aside): a fact, not a score."""
    objects = facts.objects
    groups = [_matches_group(objects, group) for group in spec.groups]
    if any(len(found) != group.count for found, group in zip(groups, spec.groups, strict=True)):
        return False
    if len(objects) != sum(group.count for group in spec.groups):
        return False
    if not all(
        _size_holds(item, group.size) for found, group in zip(groups, spec.groups, strict=True) for item in found
    ):
        return False
    if spec.relation:
        first, second = groups[0][0], groups[1][0]
        return second.x_px - first.x_px > 2.0 if spec.relation == "left of" else second.y_px - first.y_px > 2.0
    return True
