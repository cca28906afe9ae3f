"""GenAI-Bench of TIGER-Lab (arXiv 2406.04485): one anonymous vote a row on what two models made, left or right.

`genai-bench-image`, `-video` and `-edit` are the arena's Parquet files with their media. `genai-bench-judge` is the
results file of a judge model (pairwise.json) that repeats the human vote of every image row beside the judge's answer:
the human vote becomes the vote, the answer a rationale of the judge. Model A is the left picture. The files of all
judges hold the same 1,735 votes, so the second judge's file adds rationales and no votes.

BaiqiL/GenAI-Bench is another dataset of that name, with ratings and no pairs.
"""

from __future__ import annotations

import re
from functools import partial

from warehouse.importers.comparison import (
    Comparison,
    Format,
    FormatOptions,
    Item,
    Licence,
    Remark,
    RowError,
    SideLabel,
    each_row,
)
from warehouse.importers.fields import label_of, media_item, spelled, text_of
from warehouse.importers.source_row import SourceRow

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
_ARENA = Licence("CC-BY-4.0", "https://huggingface.co/datasets/TIGER-Lab/GenAI-Bench")
_REPOSITORY = Licence("MIT", "https://github.com/TIGER-AI-Lab/GenAI-Bench")


def _judge_name(row: SourceRow) -> str:
    """`gpt4o` of `gpt4o.json` and of upstream's `gpt4o/pairwise.json`."""
    *folders, name = row.file.split("/")
    stem = name.rsplit(".", 1)[0]
    return folders[-1] if stem == "pairwise" and folders else stem


def _remark(row: SourceRow) -> Remark | None:
    """None where the judge's verdict could not be parsed, or where it gave no reasons."""
    verdict = _VERDICTS.get(spelled(row.fields.get("model_vote")))
    text = row.fields.get("response")
    if verdict is None or not isinstance(text, str) or not _VERDICT_MARK.sub("", text).strip():
        return None
    return Remark(_judge_name(row), verdict, text.strip())


def _judged(row: SourceRow, options: FormatOptions) -> Comparison:
    index = row.fields.get("idx")
    if not isinstance(index, int) or isinstance(index, bool):
        raise RowError("missing_field", f"idx is {index!r}, expected a number"[:300])
    return Comparison(
        rows=(row,),
        prompt=text_of(row, "prompt"),
        prompt_item=str(index),
        first=Item(f"{index}/left"),
        second=Item(f"{index}/right"),
        labels={options.dimension or "overall": label_of(row, "human_vote", _VOTES)},
        one_vote=True,
        sided=True,
        remark=_remark(row),
    )


def _shown(row: SourceRow, options: FormatOptions, *, prompt: str, medium: str, condition: str = "") -> Comparison:
    """`prompt` and `condition` name columns, `medium` the end of the two columns with what was shown."""
    left, right = (media_item(row, f"{side}_{medium}", text_of(row, f"{side}_model")) for side in ("left", "right"))
    return Comparison(
        rows=(row,),
        prompt=text_of(row, prompt),
        prompt_item=row.location,
        first=left,
        second=right,
        labels={options.dimension or "overall": label_of(row, "vote_type", _VOTES)},
        sided=True,
        condition=media_item(row, condition) if condition else None,
    )


def _arena(task: str, prompt: str, medium: str, condition: str = "") -> Format:
    needed = (prompt, "left_model", "right_model", "vote_type", *((condition,) if condition else ()))
    return Format(
        each_row(partial(_shown, prompt=prompt, medium=medium, condition=condition)),
        needed,
        task=task,
        suffixes=(".parquet", ".jsonl"),
        licence=_ARENA,
        hint=_OTHER_DATASET,
    )


IMAGE = _arena("t2i", "prompt", "image")
VIDEO = _arena("t2v", "prompt", "video")
EDIT = _arena("edit", "instruct_prompt", "output_image", "source_image")
JUDGE = Format(
    each_row(_judged),
    ("idx", "prompt", "human_vote"),
    suffixes=(".json",),
    licence=_REPOSITORY,
    hint=_OTHER_DATASET,
)
