"""Writes the page: sections in reading order into one HTML file without any outside reference."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from pipelines.config import Show
from pipelines.plan import Plan
from pipelines.report import galleries, origin, people, placebo, search, training, verdicts
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


def _beside(path: Path) -> Path | None:
    """The warehouse of a run on real media in the folder beside this run's, if there was one."""
    other = path.resolve().parent.parent / "real_media"
    return other / "warehouse" if (other / "warehouse").is_dir() and other != path.resolve().parent else None


def _real(warehouse: Warehouse) -> dict[str, Any]:
    """What a warehouse of real media has to show: pairs with people's votes, and media that wait for votes."""
    return {"pairs": people.voted_pairs(warehouse, (), ()), "unvoted": galleries.unvoted(warehouse)}


def _aligned(warehouse: Warehouse, shown: Show) -> list[dict[str, Any]]:
    return [
        {
            "title": item.title,
            "pairs": galleries.before_after(warehouse, item.before, item.after, item.source),
            "curves": training.alignment_curves(warehouse, item.model),
            "parts": training.gold_parts(warehouse, item.after),
        }
        for item in shown.alignments
    ]


def content(warehouse: Warehouse, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the template shows of one warehouse."""
    shown = Show.model_validate(summary["shown"])
    measured = training.evaluations(warehouse, shown.reward_model)
    simulated = summary["simulated"]
    return {
        "summary": summary,
        "steps": verdicts.loop_steps(summary),
        "tiles": verdicts.tiles(summary),
        "sentences": verdicts.sentences(summary),
        "placebo": placebo.placebo(summary),
        "results": result_rows(summary),
        "aligned": _aligned(warehouse, shown),
        "search": search.best_of_n(warehouse, shown.reward_model, shown.search, summary["search"]),
        "pairs": people.voted_pairs(warehouse, shown.campaigns, shown.consensus) if simulated else [],
        "agreement": people.agreement(warehouse, shown.consensus),
        "curves": training.reward_model_curves(warehouse, shown.reward_model),
        "evaluations": measured,
        "accuracy_svg": training.accuracy_plot(measured),
        "attacks": training.attacks(warehouse, shown.reward_model),
        "lineage": origin.lineage(warehouse, shown.reward_model),
        "ranks": origin.reference_ranks(warehouse, shown.reward_model),
        "receipts": origin.receipts(warehouse),
    }


def _write(summary: Mapping[str, Any], path: Path, title: str) -> None:
    with open_warehouse(summary["warehouse"]) as warehouse:
        shown = content(warehouse, summary)
        real = None if summary["simulated"] else _real(warehouse)
    beside = _beside(path) if summary["simulated"] else None
    if beside is not None:
        with open_warehouse(str(beside)) as warehouse:
            real = _real(warehouse)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    text = environment.get_template("page.html.j2").render(title=title, real=real, **shown)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
