"""What raters are asked to judge: the standing criteria of each dimension and task, as rows of the dimensions table.

A version is one text: votes name the version they were given under, so another text needs another number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from warehouse import Warehouse
from warehouse.errors import ConfigError, ConflictError
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
# Where a task shows a third picture, the text says what it is for.
_OF_TASK: dict[tuple[str, str], str] = {
    ("i2v", "overall"): "Which clip would you rather have got from this first frame and prompt, all things together?",
    ("i2v", "text_alignment"): (
        "Which clip does more exactly what the prompt says, starting from the first frame? Ignore how beautiful it is."
    ),
    ("edit", "overall"): "Which edit of the source would you rather have got, all things taken together?",
    ("edit", "text_alignment"): (
        "Which edit does exactly what is asked and leaves the rest of the source as it was? "
        "Ignore how beautiful it is."
    ),
}
_STORED = """
SELECT title, criteria FROM dimensions WHERE task = ? AND dimension = ? AND version = ?
"""


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
    standing = _OF_TASK.get((task, dimension), text)
    return dimension_row(dimension, task, version, title, own.get(dimension, standing))


def check_versions(warehouse: Warehouse, rows: Sequence[Row]) -> None:
    """Raises ConflictError where a version of `rows` (of `guideline`) is stored with another text."""
    for row in rows:
        stored = warehouse.rows(_STORED, [row["task"], row["dimension"], row["version"]])
        if any(item["criteria"] != row["criteria"] for item in stored):
            raise ConflictError(
                f"guideline {row['version']} of {row['task']} {row['dimension']} has another text already",
                hint="give the new text a new guideline_version",
            )


def criteria_of(warehouse: Warehouse, campaign: Mapping[str, Any], dimension: str) -> tuple[str, str]:
    """Title and criteria that a campaign (row of campaigns) asks a dimension under."""
    [row] = warehouse.rows(_STORED, [campaign["task"], dimension, campaign["guideline_version"]])
    return row["title"], row["criteria"]
