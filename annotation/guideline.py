"""What raters are asked to judge: the standing criteria of each dimension, as rows of the dimensions table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from warehouse.errors import ConfigError
from warehouse.records import Row, dimension_row

_CRITERIA: dict[str, tuple[str, str]] = {
    "overall": ("Overall", "Which one would you rather have got for this prompt, all things taken together?"),
    "text_alignment": (
        "Prompt",
        "Which one shows more exactly what the prompt says: objects, counts, colours, sizes, places, motion? "
        "Ignore how beautiful it is.",
    ),
    "visual_quality": (
        "Look",
        "Which one looks better: clean, sharp, free of faults, pleasant? Ignore what the prompt says.",
    ),
    "motion_quality": (
        "Motion",
        "Which one moves better: smooth, steady, with objects that stay themselves? Ignore single frames.",
    ),
}


def guideline(
    task: str, dimensions: Sequence[str], version: int, criteria: Mapping[str, str] | None = None
) -> list[Row]:
    """Rows of the dimensions table in the order asked; `criteria` overrides the standing text by dimension.

    Raises ConfigError for a dimension that has no text, a repeated one, or an override that is not asked.
    """
    own = dict(criteria or {})
    unknown = [name for name in dimensions if name not in _CRITERIA and name not in own]
    unasked = sorted(set(own) - set(dimensions))
    if unknown or unasked or not dimensions or len(set(dimensions)) != len(dimensions):
        raise ConfigError(
            f"dimensions {list(dimensions)}: no criteria for {unknown}, criteria not asked for {unasked}",
            hint=f"each dimension once; standing ones are {', '.join(_CRITERIA)}",
        )
    return [_row(name, task, version, own) for name in dimensions]


def _row(dimension: str, task: str, version: int, own: Mapping[str, str]) -> Row:
    title, text = _CRITERIA.get(dimension, (dimension.replace("_", " "), ""))
    return dimension_row(dimension, task, version, title, own.get(dimension, text))
