"""Writes the page: sections in reading order into one HTML file without any outside reference."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from pipelines.plan import Plan
from pipelines.report import sections
from pipelines.results import result_rows
from pipelines.summary import read_summary
from warehouse import open_warehouse
from warehouse.errors import NotFoundError

_FOLDER = Path(__file__).resolve().parent


def write_report(plan: Plan, summary: Mapping[str, Any], path: Path) -> None:
    """The page of a run at `path`, all of it or nothing."""
    _write(plan.warehouse_url, summary, path, plan.config.title or plan.config.name, summary["simulated"])


def rewrite_report(out: Path) -> Path:
    """Writes the page of a finished run in `out` again and returns its path; raises NotFoundError."""
    if not (out / "summary.json").is_file():
        raise NotFoundError(f"no finished run in {out}", hint="rewarddance run CONFIG makes one")
    summary = read_summary(out / "summary.json")
    _write(str(out / "warehouse"), summary, out / "report.html", summary["name"], summary["simulated"])
    return out / "report.html"


def _other_run(path: Path) -> Path | None:
    """The warehouse of a run on real media beside this one, if there was one."""
    real = path.parent.parent / "real_media" / "warehouse"
    return real if real.is_dir() and real.parent != path.parent else None


def _write(warehouse_url: str, summary: Mapping[str, Any], path: Path, title: str, simulated: bool) -> None:
    real: list[dict[str, str]] = []
    other = _other_run(path)
    if other is not None:
        with open_warehouse(str(other)) as opened:
            real = sections.real_media(opened)
    with open_warehouse(warehouse_url) as warehouse:
        content = {"title": title, "simulated": simulated, "summary": summary, "results": result_rows(summary),
                   "real": real if simulated else sections.real_media(warehouse),
                   "pairs": sections.voted_pairs(warehouse), "curves": sections.curves(warehouse),
                   "galleries": {kind: sections.gallery(warehouse, kind) for kind in ("image", "video")},
                   "lineage": sections.lineage(warehouse), "receipts": sections.receipts(warehouse)}
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True,
                                     undefined=jinja2.StrictUndefined)
    text = environment.get_template("page.html.j2").render(**content)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
