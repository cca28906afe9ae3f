"""The page of `rewarddance annotate report`: agreement, each rater's figures and plots, one file, pseudonymous."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from pipelines.report.plots import bars, lines

_FOLDER = Path(__file__).resolve().parent
_PLOTS = (
    ("agreement", "agrees with the others"),
    ("gold_accuracy", "known answers right"),
    ("self_consistency", "same answer again"),
    ("left_share", "chooses left"),
    ("median_seconds", "seconds a vote"),
    ("votes", "votes"),
)


def plots(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(title, SVG) of what is measured for at least one rater; flagged raters in red."""
    flagged = {row["rater"] for row in found["raters"] if row["flags"]}
    drawn = []
    for name, title in _PLOTS:
        values = {row["rater"]: row[name] for row in found["raters"] if row[name] is not None}
        ordered = dict(sorted(values.items(), key=lambda item: -item[1]))
        if ordered:
            drawn.append((title, bars(_short(ordered), title, marked={_tail(rater) for rater in flagged})))
    if len(found["days"]) > 1:
        curve = [(float(index), float(day["votes"])) for index, day in enumerate(found["days"])]
        drawn.append(("votes a day", lines({"votes": curve}, "day", "votes")))
    return drawn


def _tail(rater: str) -> str:
    return rater.removeprefix("rater-")[:4]


def _short(values: Mapping[str, float]) -> dict[str, float]:
    return {_tail(rater): value for rater, value in values.items()}


def write_page(found: Mapping[str, Any], path: Path) -> None:
    """The page of a `rater_report` at `path`, all of it or nothing."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    text = environment.get_template("raters.html.j2").render(found=found, plots=plots(found))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
