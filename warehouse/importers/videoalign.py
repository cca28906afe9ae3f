"""VideoAlign / VideoGen-RewardBench of KwaiVGI (arXiv 2501.13918): clip pairs judged A, B or same on up to 4 criteria.

Traps of the files: paths are written with and without `./`, rows are repeated, Overall is missing in some rows of the
benchmark (that criterion has no vote then, the others keep theirs), and the training file names no models.
"""

from __future__ import annotations

from warehouse.importers.comparison import (
    Comparison,
    Format,
    FormatOptions,
    Item,
    RowError,
    SideLabel,
    each_row,
    label_of,
    text_of,
)
from warehouse.importers.rows import SourceRow

_CRITERIA = {
    "VQ": "visual_quality",
    "MQ": "motion_quality",
    "TA": "text_alignment",
    "Overall": "overall",
}
_LABELS: dict[str, SideLabel] = {"A": "first", "B": "second", "same": "tie"}
_ABSENT = {"", "nan", "none", "null"}


def _is_absent(row: SourceRow, column: str) -> bool:
    return str(row.fields.get(column) or "").strip().casefold() in _ABSENT


def _clip(row: SourceRow, side: str) -> Item:
    path = text_of(row, f"path_{side}")
    model = str(row.fields.get(f"{side}_model") or "").strip()
    return Item(path, model or "unknown", path)


def _pair(row: SourceRow, options: FormatOptions) -> Comparison:
    labels = {
        dimension: label_of(row, column, _LABELS)
        for column, dimension in _CRITERIA.items()
        if not _is_absent(row, column)
    }
    if not labels:
        raise RowError("no_label", "none of VQ, MQ, TA and Overall is given")
    return Comparison(
        rows=(row,),
        prompt=text_of(row, "prompt"),
        prompt_item=row.location,
        first=_clip(row, "A"),
        second=_clip(row, "B"),
        labels=labels,
    )


VIDEOALIGN = Format(
    each_row(_pair),
    ("path_A", "path_B", "prompt"),
    paths=("path_A", "path_B"),
    task="t2v",
    suffixes=(".csv", ".parquet"),
)
