"""Pick-a-Pic v1 and v2 (arXiv 2305.01569): two images that one user of a web page saw, and which one was picked.

`label_0` and `label_1` are 1 and 0, or 0.5 each for a tie; rows with `has_label` false carry no vote and are refused,
outside the reject limit. The no_images variants lack `jpg_0` and `jpg_1`: their media are absent. Many prompts are not
safe for work. The publisher's cards name no licence that is known here: `licence` says yours.
"""

from __future__ import annotations

from warehouse.importers.comparison import Comparison, Format, FormatOptions, Item, RowError, SideLabel, each_row
from warehouse.importers.fields import media_item, moment_of, name_of, number_of, spelled, text_of
from warehouse.importers.source_row import SourceRow

_LABELS: dict[tuple[float, float], SideLabel] = {(1.0, 0.0): "first", (0.0, 1.0): "second", (0.5, 0.5): "tie"}


def _image(row: SourceRow, side: int) -> Item:
    uid = name_of(row, f"image_{side}_uid")
    model = spelled(row.fields.get(f"model_{side}"))
    return media_item(row, f"jpg_{side}", model, name=uid)


def _label(row: SourceRow) -> SideLabel:
    if row.fields.get("has_label") in (False, 0) or row.fields.get("label_0") is None:
        raise RowError("no_label", "nobody chose: has_label is false")
    given = (number_of(row, "label_0"), number_of(row, "label_1"))
    if given not in _LABELS:
        raise RowError("bad_label", f"label_0 and label_1 are {given}, expected 1 and 0, 0 and 1, or 0.5 and 0.5")
    label = _LABELS[given]
    best = spelled(row.fields.get("best_image_uid"))
    if label != "tie" and best in _uids(row) and best != _uids(row)[0 if label == "first" else 1]:
        raise RowError("bad_label", f"label_0 and label_1 are {given}, but best_image_uid is {best}")
    return label


def _uids(row: SourceRow) -> tuple[str, str]:
    return name_of(row, "image_0_uid"), name_of(row, "image_1_uid")


def _picked(row: SourceRow, options: FormatOptions) -> Comparison:
    return Comparison(
        rows=(row,),
        prompt=text_of(row, "caption"),
        prompt_item=spelled(row.fields.get("ranking_id")) or row.location,
        first=_image(row, 0),
        second=_image(row, 1),
        labels={options.dimension or "overall": _label(row)},
        rater=spelled(row.fields.get("user_id")) or None,
        sided=True,
        created_at=moment_of(row.fields.get("created_at")),
    )


PICKAPIC = Format(
    each_row(_picked),
    ("caption", "image_0_uid", "image_1_uid", "label_0", "label_1"),
    suffixes=(".parquet",),
    expected=("no_label",),
)
