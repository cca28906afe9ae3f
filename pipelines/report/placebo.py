"""The same pipeline with shuffled votes and with none: what it claims must vanish there. Computes nothing new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.report.plots import bars
from pipelines.results import number


@dataclass(frozen=True)
class Placebo:
    """Rows (votes, agreement with the taste, gold gained by alignment) and both columns as plots."""

    rows: list[tuple[str, str, str]]
    agreement_svg: str
    gain_svg: str


def placebo(summary: Mapping[str, Any]) -> Placebo | None:
    """Real votes beside both placebos; None for a run without a placebo."""
    if all(value is None for item in summary["placebo"].values() for value in item.values()):
        return None
    rows = [("real votes", summary["rm"]["accuracy_taste"], summary["alignment"]["image"]["gain"])]
    rows += [(name.replace("_", " "), item["accuracy_taste"], item["gold_gain"])
             for name, item in summary["placebo"].items()]
    agreement = {name: value for name, value, _ in rows if value is not None}
    gain = {name: value for name, _, value in rows if value is not None}
    return Placebo([(name, number(value), number(moved)) for name, value, moved in rows],
                   bars(agreement, "agreement with the taste", level=0.5), bars(gain, "gold gained", level=0.0))
