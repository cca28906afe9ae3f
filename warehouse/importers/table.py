"""Any table of pairs: the config names the columns and what the label's values mean.

Columns: prompt, first, second (paths, or bytes in Parquet), label, and where the table has them model_first,
model_second, rater, dimension, condition (the picture that was edited or animated) and name_first, name_second (what
identifies an item whose bytes are embedded). `labels` maps each value of the label column to first, second, tie or
both_bad.
"""

from __future__ import annotations

from collections.abc import Mapping

from warehouse.importers.comparison import (
    SIDE_LABELS,
    Comparison,
    Format,
    FormatOptions,
    Item,
    RowError,
    SideLabel,
    each_row,
)
from warehouse.importers.fields import media_item, name_of, spelled, text_of
from warehouse.importers.source_row import SourceRow
from warehouse.records import DIMENSIONS

_COLUMNS = {role: role for role in ("prompt", "first", "second", "label")} | dict.fromkeys(
    ("model_first", "model_second", "name_first", "name_second", "rater", "dimension", "condition"), ""
)
_SAME: dict[str, str] = {name: name for name in SIDE_LABELS}


def side_label(value: object, meaning: Mapping[str, str]) -> SideLabel:
    """What a label's value means by the config's `labels`; by default the values speak for themselves."""
    given = value.strip() if isinstance(value, str) else spelled(value)
    found = (meaning or _SAME).get(given)
    if found is None:
        found = next((to for key, to in meaning.items() if key.casefold() == given.casefold()), None)
    for label in SIDE_LABELS:
        if label == found:
            return label
    raise RowError("bad_label", f"{value!r} is no label, expected one of {', '.join(meaning or _SAME)}"[:300])


def _item(row: SourceRow, options: FormatOptions, side: str) -> Item:
    columns = options.columns
    name = name_of(row, columns[f"name_{side}"]) if columns[f"name_{side}"] else ""
    found = media_item(row, columns[side], name=name)
    if not found.path and found.data is None and not name:
        # A web address names an item as well as a path does.
        text_of(row, columns[side])
    model = columns[f"model_{side}"]
    return Item(found.name, name_of(row, model) if model else "unknown", found.path, found.data)


def _dimension(row: SourceRow, options: FormatOptions) -> str:
    column = options.columns["dimension"]
    value = text_of(row, column).strip() if column else options.dimension or "overall"
    if value not in DIMENSIONS:
        raise RowError("bad_dimension", f"{value!r}, expected one of {', '.join(DIMENSIONS)}"[:300])
    return value


def _pair(row: SourceRow, options: FormatOptions) -> Comparison:
    columns = options.columns
    return Comparison(
        rows=(row,),
        prompt=text_of(row, columns["prompt"]),
        prompt_item=row.location,
        first=_item(row, options, "first"),
        second=_item(row, options, "second"),
        labels={_dimension(row, options): side_label(row.fields.get(columns["label"]), options.labels)},
        rater=name_of(row, columns["rater"]) if columns["rater"] else None,
        condition=media_item(row, columns["condition"]) if columns["condition"] else None,
    )


TABLE = Format(each_row(_pair), columns=_COLUMNS, paths=("first", "second", "condition"), has_labels=True)
