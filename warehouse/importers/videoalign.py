"""VideoAlign / VideoGen-RewardBench of KwaiVGI (arXiv 2501.13918): clip pairs judged A, B or same on up to 4 criteria.

Traps of the files: paths are written with and without `./`, rows are repeated, Overall is missing in some rows of the
benchmark (that criterion has no vote then, the others keep theirs), prompts hold stray carriage returns without
quotation marks, and the training file names no models.
"""

from __future__ import annotations

from functools import partial

from warehouse.importers.comparison import (
    Comparison,
    Format,
    FormatOptions,
    Item,
    Licence,
    RowError,
    SideLabel,
    each_row,
)
from warehouse.importers.fields import label_of, spelled, text_of
from warehouse.importers.source_row import SourceRow

_CRITERIA = {
    "VQ": "visual_quality",
    "MQ": "motion_quality",
    "TA": "text_alignment",
    "Overall": "overall",
}
_LABELS: dict[str, SideLabel] = {"A": "first", "B": "second", "same": "tie"}


def _clip(row: SourceRow, side: str) -> Item:
    path = text_of(row, f"path_{side}")
    return Item(path, spelled(row.fields.get(f"{side}_model")) or "unknown", path)


def _pair(row: SourceRow, options: FormatOptions) -> Comparison:
    labels = {
        dimension: label_of(row, column, _LABELS)
        for column, dimension in _CRITERIA.items()
        if spelled(row.fields.get(column)) and options.dimension in ("", dimension)
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


_clips = partial(
    Format,
    each_row(_pair),
    ("path_A", "path_B", "prompt"),
    paths=("path_A", "path_B"),
    task="t2v",
    suffixes=(".csv", ".parquet"),
)
VIDEOALIGN = _clips(licence=Licence("MIT", "https://github.com/KwaiVGI/VideoAlign"))
REWARDBENCH = _clips(licence=Licence("Apache-2.0", "https://huggingface.co/datasets/KlingTeam/VideoGen-RewardBench"))
