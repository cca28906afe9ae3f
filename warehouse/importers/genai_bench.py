"""GenAI-Bench of TIGER-Lab (arXiv 2406.04485): image pairs with one anonymous vote a row.

Two forms. `genai-bench-image`: Parquet of the arena's rows with both pictures. `genai-bench-judge`: the results file of
a judge model (JSON) that repeats the human vote of every row beside the judge's answer; the human vote becomes the
vote, the answer a rationale of the judge. Model A is the left picture. The rows of all judges number the same 1,735
votes, so the second judge's file adds rationales and no votes. BaiqiL/GenAI-Bench is another dataset with that name.
"""

from __future__ import annotations

import re
from typing import Any

from warehouse.importers.comparison import (
    Comparison,
    Format,
    FormatOptions,
    Item,
    Judgement,
    RowError,
    SideLabel,
    clean_path,
    each_row,
    label_of,
    text_of,
)
from warehouse.importers.rows import SourceRow

_VOTES: dict[str, SideLabel] = {
    "leftvote": "first",
    "rightvote": "second",
    "tievote": "tie",
    "bothbad_vote": "both_bad",
}
_VERDICTS: dict[str, SideLabel] = {
    "[[A>B]]": "first",
    "[[B>A]]": "second",
    "[[A=B=Good]]": "tie",
    "[[A=B=Bad]]": "both_bad",
}
_VERDICT_MARK = re.compile(r"\[\[A(?:>B|=B=Good|=B=Bad)\]\]|\[\[B>A\]\]")
_OTHER_DATASET = "Prompt and HumanRatings are columns of BaiqiL/GenAI-Bench, which holds ratings, not pairs"


def _judge_name(row: SourceRow) -> str:
    """`gpt4o` of `gpt4o.json` and of upstream's `gpt4o/pairwise.json`."""
    *folders, name = row.file.split("/")
    stem = name.rsplit(".", 1)[0]
    return folders[-1] if stem == "pairwise" and folders else stem


def _judgement(row: SourceRow) -> Judgement | None:
    """None where the judge's verdict could not be parsed, or where it gave no reasons."""
    verdict = _VERDICTS.get(str(row.fields.get("model_vote")))
    text = row.fields.get("response")
    if verdict is None or not isinstance(text, str) or not _VERDICT_MARK.sub("", text).strip():
        return None
    return Judgement(_judge_name(row), verdict, text.strip())


def _judged(row: SourceRow, options: FormatOptions) -> Comparison:
    index = row.fields.get("idx")
    if not isinstance(index, int) or isinstance(index, bool):
        raise RowError("missing_field", f"idx is {index!r}, expected a number")
    return Comparison(
        rows=(row,),
        prompt=text_of(row, "prompt"),
        prompt_item=str(index),
        first=Item(f"{index}/left"),
        second=Item(f"{index}/right"),
        labels={options.dimension or "overall": label_of(row, "human_vote", _VOTES)},
        one_vote=True,
        sided=True,
        judgement=_judgement(row),
    )


def _picture(row: SourceRow, side: str) -> Item:
    """An embedded picture ({bytes, path}), a path, or none; without bytes or path the row itself is the name."""
    value: Any = row.fields.get(f"{side}_image")
    model = text_of(row, f"{side}_model")
    data = value.get("bytes") if isinstance(value, dict) else None
    path = (value.get("path") if isinstance(value, dict) else value) or ""
    if not isinstance(path, str) or (data is not None and not isinstance(data, bytes)):
        raise RowError("missing_field", f"{side}_image is {type(value).__name__}, expected a picture or a path")
    path = clean_path(path) if path else ""
    return Item(f"{model}/{path or row.location}", model, "" if data else path, data)


def _shown(row: SourceRow, options: FormatOptions) -> Comparison:
    return Comparison(
        rows=(row,),
        prompt=text_of(row, "prompt"),
        prompt_item=row.location,
        first=_picture(row, "left"),
        second=_picture(row, "right"),
        labels={options.dimension or "overall": label_of(row, "vote_type", _VOTES)},
        sided=True,
    )


JUDGE = Format(each_row(_judged), ("idx", "prompt", "human_vote"), suffixes=(".json",), hint=_OTHER_DATASET)
IMAGE = Format(
    each_row(_shown),
    ("prompt", "left_model", "right_model", "vote_type"),
    suffixes=(".parquet", ".jsonl"),
    hint=_OTHER_DATASET,
)
