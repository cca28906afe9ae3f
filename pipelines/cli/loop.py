"""Commands over the whole loop: demo, run, align, report, doctor, sql."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, Set, Unchanged, WarehouseUrl, run_one

Out = Annotated[Path | None, typer.Option(help="Folder of the run (default runs/<config name>).")]
Taste = Annotated[str | None, typer.Option(help="The simulated population: large_warm or small_cool.")]


def _start(config_path: Path, out: Path | None, taste: str | None, as_json: bool) -> None:
    from pipelines.cli.output import emit
    from pipelines.config import load_config
    from pipelines.run import run as run_config

    config = load_config(config_path, {"taste": taste})
    summary = run_config(config, out or Path("runs") / config.name)
    if as_json:
        emit(summary, True)
    else:
        from pipelines.results import print_results

        print_results(summary)


def demo(quick: bool = False, out: Out = None, taste: Taste = None, json: Json = False) -> None:
    """The whole loop in the simulated world. Example: rewarddance demo --quick"""
    from pipelines.config import SOURCE_ROOT

    name = "demo_quick.yaml" if quick else "demo.yaml"
    _start(SOURCE_ROOT / "configs" / name, out or Path("runs/demo"), taste, json)


def run(config: Path, out: Out = None, taste: Taste = None, json: Json = False) -> None:
    """Run the stages of a config. Example: rewarddance run configs/real_media.yaml --out runs/real"""
    _start(config, out, taste, json)


def align(set: Set = None, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False,
          fail_if_unchanged: Unchanged = False) -> None:
    """Align a generator to a reward model. Example: rewarddance align --set method=refl --set policy=MODULE:OBJECT"""
    run_one("alignment.align:AlignConfig", warehouse, set, json, fail_if_unchanged)


def report(out: Path, json: Json = False) -> None:
    """Write the HTML page of a finished run again. Example: rewarddance report runs/demo"""
    from pipelines.cli.output import emit
    from pipelines.report.page import rewrite_report

    emit({"report": str(rewrite_report(out))}, json)


def doctor(json: Json = False) -> None:
    """What is installed, what is missing, and what to type. Example: rewarddance doctor"""
    from pipelines.doctor import examine, print_findings

    findings = examine()
    if json:
        from pipelines.cli.output import emit

        emit({"ok": all(item["ok"] for item in findings if item["needed"]), "findings": findings}, True)
    else:
        print_findings(findings)
    if not all(item["ok"] for item in findings if item["needed"]):
        raise typer.Exit(1)


def sql(query: str, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False) -> None:
    """Read-only SQL over the warehouse. Example: rewarddance sql "SELECT reason, count(*) FROM rejects GROUP BY 1" """
    from pipelines.cli.output import emit
    from warehouse import open_warehouse
    from warehouse.errors import InvalidInputError

    if query.lstrip().split(None, 1)[0].lower() not in {"select", "with", "describe", "show", "from", "summarize"}:
        raise InvalidInputError("only reading statements are allowed here", where=query, hint="begin with SELECT")
    with open_warehouse(warehouse) as opened:
        emit(opened.rows(query), json or not sys.stdout.isatty())
