"""Any table of pairs: the config names the columns and what the label's values mean.

Columns: prompt, first, second (paths), label, and where the table has them model_first, model_second, rater, dimension.
`labels` maps each value of the label column to first, second, tie or both_bad.
"""

from __future__ import annotations

from typing import get_args

from warehouse.importers.comparison import (
    Comparison,
    Format,
    FormatOptions,
    Item,
    RowError,
    SideLabel,
    each_row,
    text_of,
)
from warehouse.importers.rows import SourceRow
from warehouse.records import DIMENSIONS

_COLUMNS = {role: role for role in ("prompt", "first", "second", "label")} | dict.fromkeys(
    ("model_first", "model_second", "rater", "dimension"), ""
)
SIDE_LABELS: tuple[SideLabel, ...] = get_args(SideLabel)
_DEFAULT_LABELS: dict[str, str] = {name: name for name in SIDE_LABELS}


def _item(row: SourceRow, options: FormatOptions, side: str) -> Item:
    path = text_of(row, options.columns[side])
    model = options.columns[f"model_{side}"]
    return Item(path, text_of(row, model) if model else "unknown", path)


def _label(row: SourceRow, options: FormatOptions) -> SideLabel:
    value = str(row.fields.get(options.columns["label"])).strip()
    meaning = (options.labels or _DEFAULT_LABELS).get(value)
    for label in SIDE_LABELS:
        if label == meaning:
            return label
    raise RowError("bad_label", f"{value!r} is no label of this table")


def _dimension(row: SourceRow, options: FormatOptions) -> str:
    column = options.columns["dimension"]
    value = text_of(row, column) if column else options.dimension or "overall"
    if value not in DIMENSIONS:
        raise RowError("bad_dimension", f"{value!r}, expected one of {', '.join(DIMENSIONS)}")
    return value


def _pair(row: SourceRow, options: FormatOptions) -> Comparison:
    rater = options.columns["rater"]
    return Comparison(
        rows=(row,),
        prompt=text_of(row, options.columns["prompt"]),
        prompt_item=row.location,
        first=_item(row, options, "first"),
        second=_item(row, options, "second"),
        labels={_dimension(row, options): _label(row, options)},
        rater=text_of(row, rater) if rater else None,
    )


TABLE = Format(each_row(_pair), columns=_COLUMNS, paths=("first", "second"), has_labels=True)
