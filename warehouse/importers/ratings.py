"""Absolute scores: TIFA-160's Likert answers, VideoFeedback, VisionRewardDB-Image and RichHF-18K.

A score says nothing about a pair by itself; pairs come from within one rater and one prompt (ranking.py). Where the
source names no rater, the source itself is the rater. A prompt with one rated item gives no pair: that row is refused
as nothing_to_compare, outside the reject limit.
"""

from __future__ import annotations

from warehouse.importers.comparison import Format, FormatOptions, Item, Licence, RowError
from warehouse.importers.fields import clean_path, media_item, name_of, number_of, spelled, text_of
from warehouse.importers.ranking import Rating, Scored, grouped
from warehouse.importers.source_row import SourceRow

_ALONE = ("nothing_to_compare",)
_LIKERT_COLUMNS = {"prompt": "item_id", "model": "t2i_model", "rater": "worker_id", "score": "answer", "path": ""}
# Dynamic degree says how much moves, not how well; factual consistency has no counterpart here.
_VIDEOFEEDBACK = {
    "visual quality": "visual_quality",
    "temporal consistency": "motion_quality",
    "text-to-video alignment": "text_alignment",
}
_UNSEEN = ("safety", "unsafe type")
_RICHHF = {
    "overall_score": "overall",
    "misalignment_score": "text_alignment",
    "aesthetics_score": "visual_quality",
}


def _likert(row: SourceRow, options: FormatOptions) -> Rating:
    names = options.columns
    prompt, model = text_of(row, names["prompt"]), text_of(row, names["model"])
    path = clean_path(text_of(row, names["path"])) if names["path"] else ""
    item = Item(path or f"{prompt}/{model}", model, path)
    score = {options.dimension or "text_alignment": number_of(row, names["score"])}
    return Rating(Scored(row, item, score), prompt, prompt, name_of(row, names["rater"]))


def _chosen(scores: dict[str, float], options: FormatOptions) -> dict[str, float]:
    """The scores, or the one of the dimension that the config names."""
    if options.dimension:
        scores = {name: score for name, score in scores.items() if name == options.dimension}
    if not scores:
        raise RowError("no_label", f"no score of {options.dimension or 'any dimension'}")
    return scores


def _videofeedback(row: SourceRow, options: FormatOptions) -> Rating:
    name, prompt = name_of(row, "id"), text_of(row, "text prompt")
    link = spelled(row.fields.get("video link")).rpartition("/")[2]
    scores = {
        dimension: number_of(row, column)
        for column, dimension in _VIDEOFEEDBACK.items()
        if spelled(row.fields.get(column))
    }
    item = Item(name, path=f"{name}.mp4", elsewhere=(clean_path(link),) if link else ())
    return Rating(Scored(row, item, _chosen(scores, options)), prompt, prompt)


def _visionreward(row: SourceRow, options: FormatOptions) -> Rating:
    """Images are compared by the sum of the aspects that their annotation holds, safety left out."""
    annotation, prompt = row.fields.get("annotation"), text_of(row, "prompt")
    if not isinstance(annotation, dict):
        raise RowError("missing_field", f"annotation is {type(annotation).__name__}, expected a struct")
    aspects = {
        name: value
        for name, value in annotation.items()
        if isinstance(value, int | float) and -100 < value < 100 and name not in _UNSEEN
    }
    if not aspects:
        raise RowError("no_label", "the annotation holds no aspect")
    scores = {options.dimension or "visual_quality": float(sum(aspects.values()))}
    item = media_item(row, "image", name=name_of(row, "internal_id"))
    # Whole annotations only: the sums of different sets of aspects are no scale.
    return Rating(Scored(row, item, scores), prompt, prompt, group=" ".join(sorted(aspects)))


def _richhf(row: SourceRow, options: FormatOptions) -> Rating:
    """Scores between 0 and 1, higher is better, of all four; the record holds no prompt."""
    name = clean_path(text_of(row, "filename"))
    image = name.rpartition("/")[2].partition(".")[0]
    prompt = spelled(row.fields.get("prompt")) or options.prompts.get(name) or options.prompts.get(image)
    if not prompt:
        raise RowError("no_prompt", f"no prompt of {name}: name the Pick-a-Pic files in `prompts`")
    scores = {dimension: number_of(row, column) for column, dimension in _RICHHF.items() if column in row.fields}
    return Rating(
        Scored(row, Item(image, path=name, elsewhere=(name.rpartition("/")[2],)), _chosen(scores, options)),
        prompt,
        prompt,
    )


LIKERT = Format(
    grouped(_likert),
    columns=_LIKERT_COLUMNS,
    suffixes=(".csv", ".tsv"),
    expected=_ALONE,
)
VIDEOFEEDBACK = Format(
    grouped(_videofeedback),
    ("id", "text prompt", *_VIDEOFEEDBACK),
    task="t2v",
    suffixes=(".parquet", ".json", ".jsonl"),
    licence=Licence("Apache-2.0", "https://huggingface.co/datasets/TIGER-Lab/VideoFeedback"),
    expected=_ALONE,
)
VISIONREWARD = Format(
    grouped(_visionreward),
    ("internal_id", "prompt", "annotation"),
    suffixes=(".parquet", ".jsonl"),
    licence=Licence("Apache-2.0", "https://huggingface.co/datasets/zai-org/VisionRewardDB-Image"),
    expected=_ALONE,
)
RICHHF = Format(
    grouped(_richhf),
    ("filename",),
    suffixes=(".tfrecord",),
    expected=(*_ALONE, "no_prompt"),
)
