"""Human Preference Dataset v2 (arXiv 2306.09341) and v3 (arXiv 2508.03789).

HPDv2, train.json: two images, `human_preference` holds 1 at the preferred one; one person's vote (`user_hash`).
test.json: up to nine images ranked by several people; `rank` is their mean, smaller is better, and is what published
accuracies are measured on: one vote a pair. `raw_annotations` holds each person's ranking: with the option
`annotators` these are the votes instead, as they are where `rank` is absent. Copies of the files spell the columns two
ways. Paths are bare names below train/ or test/; four published images are broken, and become rejects like any other.

HPDv3: `path1` is ALWAYS the preferred image. Sides of a pair are dealt by the hash of its candidates, never by the
file's order, so that no label leaks from it. `confidence` may be null; `min_confidence` leaves out rows below it (0.95
trained HPSv3) and those without one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from warehouse.importers.comparison import (
    Comparison,
    Format,
    FormatOptions,
    Item,
    Licence,
    Outcome,
    Refused,
    RowError,
    SideLabel,
    each_row,
)
from warehouse.importers.fields import clean_path, spelled, text_of, texts_of
from warehouse.importers.ranking import Scored, pairs_of, ranked
from warehouse.importers.source_row import SourceRow

_HINT = "HPDv2 has train.json and test.json; benchmark/*.json are prompts, for `prompts import`"


def _images(row: SourceRow) -> list[Item]:
    column = "file_path" if "file_path" in row.fields else "image_path"
    split = row.file.rpartition("/")[2].partition(".")[0]
    paths = [clean_path(path) for path in texts_of(row, column)]
    # train/ and test/ number their images alike: the split is part of an image's name.
    return [
        Item(path if path.startswith(f"{split}/") else f"{split}/{path}", path=path, elsewhere=(f"{split}/{path}",))
        for path in paths
    ]


def _hpdv2(row: SourceRow, options: FormatOptions) -> Iterator[Outcome]:
    dimension = options.dimension or "overall"
    prompt, images = text_of(row, "prompt"), _images(row)
    if "human_preference" in row.fields:
        yield _choice(row, prompt, images, dimension)
        return
    raw = row.fields.get("raw_annotations") or row.fields.get("raw_annotation")
    if isinstance(raw, list) and raw and (options.annotators or "rank" not in row.fields):
        yield from _annotations(row, prompt, images, raw, dimension)
    else:
        yield from pairs_of(_mean(row, images, dimension), prompt, row.location, one_vote=True)


def _choice(row: SourceRow, prompt: str, images: list[Item], dimension: str) -> Comparison:
    chosen = row.fields["human_preference"]
    labels: dict[tuple[Any, ...], SideLabel] = {(1, 0): "first", (0, 1): "second"}
    label = labels.get(tuple(chosen)) if isinstance(chosen, list) and all(type(v) is int for v in chosen) else None
    if label is None or len(images) != 2:
        raise RowError("bad_label", f"human_preference is {chosen!r} for {len(images)} images, expected one 1"[:300])
    rater = spelled(row.fields.get("user_hash")) or None
    return Comparison((row,), prompt, row.location, images[0], images[1], {dimension: label}, rater)


def _mean(row: SourceRow, images: list[Item], dimension: str) -> list[Scored]:
    """The ranking averaged over people; means of ranks may be fractions."""
    ranks = row.fields.get("rank")
    if not isinstance(ranks, list) or len(ranks) != len(images) or len(ranks) < 2:
        raise RowError("bad_ranking", f"rank is {ranks!r} for {len(images)} images"[:300])
    if not all(isinstance(rank, int | float) and abs(rank) < 1e6 for rank in ranks):
        raise RowError("bad_ranking", f"ranks are numbers, got {ranks!r}"[:300])
    return [Scored(row, item, {dimension: -rank}) for item, rank in zip(images, ranks, strict=True)]


def _annotations(row: SourceRow, prompt: str, images: list[Item], raw: list[Any], dimension: str) -> Iterator[Outcome]:
    """One ranking a person; one that cannot be used is refused by itself."""
    for number, annotation in enumerate(raw):
        try:
            if not isinstance(annotation, dict):
                raise RowError("bad_ranking", f"raw annotation {number} is {type(annotation).__name__}")
            rater = spelled(annotation.get("user_hash")) or None
            yield from pairs_of(ranked(row, images, annotation.get("rank"), dimension), prompt, row.location, rater)
        except RowError as error:
            yield Refused(row, error.reason, f"raw annotation {number}: {error}")


def _side(row: SourceRow, number: int) -> Item:
    path = clean_path(text_of(row, f"path{number}"))
    return Item(path, spelled(row.fields.get(f"model{number}")) or "unknown", path)


def _hpdv3(row: SourceRow, options: FormatOptions) -> Iterable[Outcome]:
    confidence = row.fields.get("confidence")
    sure = confidence if isinstance(confidence, int | float) else 0.0
    if sure < options.min_confidence:
        raise RowError("low_confidence", f"confidence is {confidence!r}, wanted {options.min_confidence}"[:300])
    labels: dict[str, SideLabel] = {options.dimension or "overall": "first"}
    prompt = text_of(row, "prompt")
    return [Comparison((row,), prompt, row.location, _side(row, 1), _side(row, 2), labels, one_vote=True)]


HPDV2 = Format(
    each_row(_hpdv2),
    ("prompt",),
    suffixes=(".json", ".jsonl", ".parquet"),
    skip=("benchmark",),
    licence=Licence("Apache-2.0", "https://huggingface.co/datasets/ymhao/HPDv2"),
    hint=_HINT,
)
HPDV3 = Format(
    each_row(_hpdv3),
    ("prompt", "path1", "path2"),
    paths=("path1", "path2"),
    suffixes=(".json", ".jsonl", ".parquet"),
    skip=("benchmark",),
    licence=Licence("MIT", "https://huggingface.co/datasets/MizzenAI/HPDv3"),
    expected=("low_confidence",),
)
