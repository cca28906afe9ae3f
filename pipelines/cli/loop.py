"""Commands over a whole run: run, report, doctor, sql."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, Unchanged, WarehouseUrl

Out = Annotated[Path | None, typer.Option(help="Folder of the run (default runs/<config name>).")]
Taste = Annotated[str | None, typer.Option(help="The simulated population: large_warm or small_cool.")]


def run(config: Path, out: Out = None, taste: Taste = None, json: Json = False,
        fail_if_unchanged: Unchanged = False) -> None:
    """Run the stages of a config. Example: rewarddance run my_run.yaml --out runs/mine"""
    from pipelines.cli.output import emit
    from pipelines.config import load_config
    from pipelines.results import print_results
    from pipelines.run import run as run_config

    loaded = load_config(config, {"taste": taste})
    summary = run_config(loaded, out or Path("runs") / loaded.name)
    if json:
        emit(summary, True)
    else:
        print_results(summary)
    if fail_if_unchanged and not summary["changed"]:
        raise typer.Exit(4)


def report(out: Path, json: Json = False) -> None:
    """Write the HTML page of a finished run again. Example: rewarddance report runs/mine"""
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
    from warehouse.sql import query as ask

    with open_warehouse(warehouse) as opened:
        emit(ask(opened, query).to_pylist(), json)
