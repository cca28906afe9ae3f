"""Writes the page: sections in reading order into one HTML file without any outside reference."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from pipelines.config import Show
from pipelines.plan import Plan
from pipelines.report import galleries, origin, people, search, training, verdicts
from pipelines.results import result_rows
from pipelines.summary import read_summary
from warehouse import Warehouse, open_warehouse
from warehouse.errors import NotFoundError

_FOLDER = Path(__file__).resolve().parent


def write_report(plan: Plan, summary: Mapping[str, Any], path: Path) -> None:
    """The page of a run at `path`, all of it or nothing."""
    _write(summary, path, plan.config.title or plan.config.name)


def rewrite_report(out: Path) -> Path:
    """Writes the page of a finished run in `out` again and returns its path; raises NotFoundError."""
    if not (out / "summary.json").is_file():
        raise NotFoundError(f"no finished run in {out}", hint="rewarddance run CONFIG makes one")
    summary = read_summary(out / "summary.json")
    _write(summary, out / "report.html", summary["title"] or summary["name"])
    return out / "report.html"


def _beside(path: Path) -> list[galleries.Medium]:
    """Media of a run on real media in the folder beside this run's, if there was one."""
    other = path.resolve().parent.parent / "real_media" / "warehouse"
    if not other.is_dir() or other.parent == path.resolve().parent:
        return []
    with open_warehouse(str(other)) as warehouse:
        return galleries.real_media(warehouse)


def _aligned(warehouse: Warehouse, shown: Show) -> list[dict[str, Any]]:
    return [
        {
            "title": item.title,
            "pairs": galleries.before_after(warehouse, item.before, item.after, item.source),
            "curves": training.curves(warehouse, item.model),
        }
        for item in shown.alignments
    ]


def content(warehouse: Warehouse, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the template shows of one warehouse."""
    shown = Show.model_validate(summary["shown"])
    return {
        "summary": summary,
        "tiles": verdicts.tiles(summary),
        "sentences": verdicts.sentences(summary),
        "placebo": verdicts.placebo_rows(summary),
        "results": result_rows(summary),
        "aligned": _aligned(warehouse, shown),
        "search": search.best_of_n(warehouse, shown.reward_model, shown.search, summary["search"]),
        "pairs": people.voted_pairs(warehouse, shown.campaigns, shown.consensus),
        "agreement": people.agreement(warehouse, shown.consensus),
        "curves": training.curves(warehouse, shown.reward_model),
        "evaluations": training.evaluations(warehouse, shown.reward_model),
        "attacks": training.attacks(warehouse, shown.reward_model),
        "lineage": origin.lineage(warehouse, shown.reward_model),
        "receipts": origin.receipts(warehouse),
    }


def _write(summary: Mapping[str, Any], path: Path, title: str) -> None:
    with open_warehouse(summary["warehouse"]) as warehouse:
        shown = content(warehouse, summary)
        real = _beside(path) if summary["simulated"] else galleries.real_media(warehouse)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    text = environment.get_template("page.html.j2").render(title=title, real=real, **shown)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
