"""Every preference format by its name on the command line."""

from __future__ import annotations

from warehouse.importers import (
    genai_bench,
    hpd,
    imagereward,
    label_studio,
    pickapic,
    ratings,
    table,
    videoalign,
)
from warehouse.importers.comparison import Format

FORMATS: dict[str, Format] = {
    "genai-bench-edit": genai_bench.EDIT,
    "genai-bench-image": genai_bench.IMAGE,
    "genai-bench-judge": genai_bench.JUDGE,
    "genai-bench-video": genai_bench.VIDEO,
    "hpdv2": hpd.HPDV2,
    "hpdv3": hpd.HPDV3,
    "imagereward-ranking": imagereward.RANKING,
    "imagerewarddb": imagereward.DATABASE,
    "label-studio": label_studio.LABEL_STUDIO,
    "likert-csv": ratings.LIKERT,
    "pickapic": pickapic.PICKAPIC,
    "richhf": ratings.RICHHF,
    "table": table.TABLE,
    "videoalign": videoalign.VIDEOALIGN,
    "videofeedback": ratings.VIDEOFEEDBACK,
    "videogen-rewardbench": videoalign.REWARDBENCH,
    "visionreward-image": ratings.VISIONREWARD,
}
