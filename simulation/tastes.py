"""Two populations of raters with opposite, visible tastes over the same gold scores.

A taste says how much each score weighs and which look is preferred: `large_warm` likes large objects on a warm
background, `small_cool` small ones on a cool background. Overall gold is a taste's utility.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from warehouse.errors import ConfigError


@dataclass(frozen=True)
class Taste:
    """Weights of alignment, quality and look; `large` and `warm` say which end of each look is liked."""

    large: bool
    warm: bool
    alignment: float = 0.45
    quality: float = 0.15
    size: float = 0.20
    warmth: float = 0.20
    motion_share: float = 0.2


TASTES = {"large_warm": Taste(large=True, warm=True), "small_cool": Taste(large=False, warm=False)}
DIMENSIONS = ("overall", "text_alignment", "visual_quality", "motion_quality")


def _look(scores: Mapping[str, float], taste: Taste) -> tuple[float, float]:
    size = scores["size"] if taste.large else 1.0 - scores["size"]
    warmth = scores["warmth"] if taste.warm else 1.0 - scores["warmth"]
    return size * scores["presence"], warmth


def utility(scores: Mapping[str, float], taste: str, dimension: str) -> float:
    """Utility in [0, 1] of scored media for one population and dimension; unknown names raise ConfigError."""
    if taste not in TASTES or dimension not in DIMENSIONS:
        raise ConfigError(
            f"unknown taste or dimension: {taste!r}, {dimension!r}",
            hint=f"tastes: {', '.join(TASTES)}; dimensions: {', '.join(DIMENSIONS)}",
        )
    chosen = TASTES[taste]
    size, warmth = _look(scores, chosen)
    if dimension == "text_alignment":
        return scores["alignment"]
    if dimension == "motion_quality":
        return scores["motion"]
    if dimension == "visual_quality":
        return 0.4 * scores["quality"] + 0.3 * size + 0.3 * warmth
    overall = (
        chosen.alignment * scores["alignment"]
        + chosen.quality * scores["quality"]
        + chosen.size * size
        + chosen.warmth * warmth
    )
    return (1 - chosen.motion_share) * overall + chosen.motion_share * scores["motion"]
