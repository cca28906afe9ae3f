"""Commands over a whole run: demo, run, align, report, doctor, sql."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, Unchanged, WarehouseUrl, stage_command

Out = Annotated[Path | None, typer.Option(help="Folder of the run (default runs/<config name>).")]
Taste = Annotated[str | None, typer.Option(help="The simulated population: large_warm or small_cool.")]
RunWarehouse = Annotated[str | None, typer.Option("--warehouse", help="Folder of the rows (default OUT/warehouse).")]
Quick = Annotated[bool, typer.Option("--quick", help="Smaller sizes, about 90 seconds.")]

align = stage_command(
    "alignment.align:AlignConfig",
    "Align a generator to a reward model. Example: rewarddance align --set policy=MODULE:OBJECT --set reward_model=ID",
)


def _start(
    config: Path, out: Path | None, taste: str | None, warehouse: str | None, json: bool, fail_if_unchanged: bool
) -> None:
    from pipelines.cli.output import emit
    from pipelines.config import load_config
    from pipelines.results import print_results
    from pipelines.run import run as run_config

    loaded = load_config(config, {"taste": taste})
    summary = run_config(loaded, out or Path("runs") / loaded.name, warehouse)
    if json:
        emit(summary, True)
    else:
        print_results(summary)
    if fail_if_unchanged and not summary["changed"]:
        raise typer.Exit(4)


def demo(
    quick: Quick = False,
    taste: Taste = None,
    out: Out = None,
    warehouse: RunWarehouse = None,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """The whole loop in the simulated world, into runs/demo. Example: rewarddance demo --quick"""
    from pipelines.config import SOURCE_ROOT

    name = "demo_quick.yaml" if quick else "demo.yaml"
    _start(SOURCE_ROOT / "configs" / name, out or Path("runs/demo"), taste, warehouse, json, fail_if_unchanged)


def run(
    config: Path,
    out: Out = None,
    taste: Taste = None,
    warehouse: RunWarehouse = None,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Run the stages of a config. Example: rewarddance run configs/real_media.yaml --out runs/real_media"""
    _start(config, out, taste, warehouse, json, fail_if_unchanged)


def report(out: Path, json: Json = False) -> None:
    """Write the HTML page of a finished run again. Example: rewarddance report runs/demo"""
    from pipelines.cli.output import emit
    from pipelines.report.page import rewrite_report

    emit({"report": str(rewrite_report(out))}, json)


def doctor(
    install: Annotated[
        list[str] | None, typer.Option(help="Install a service first: all, label-studio, chromium or postgresql.")
    ] = None,
    without: Annotated[str, typer.Option(envvar="WITHOUT", help="Services to leave out, separated by commas.")] = "",
    json: Json = False,
) -> None:
    """What is installed, what is missing, and what to type. Example: rewarddance doctor --install all"""
    from pipelines.doctor import examine, print_findings

    if install:
        _install(install, without)
    findings = examine()
    if json:
        from pipelines.cli.output import emit

        emit({"ok": all(item["ok"] for item in findings if item["needed"]), "findings": findings}, True)
    else:
        print_findings(findings)
    if not all(item["ok"] for item in findings if item["needed"]):
        raise typer.Exit(1)


def _install(names: list[str], without: str) -> None:
    """What cannot be installed is said and is no failure, except in CI, where its tests would fail."""
    import os

    from pipelines.services import chosen
    from pipelines.services import install as fetch

    wanted = chosen([name for name in names if name != "all"], [name for name in without.split(",") if name])
    if any(fetch(wanted).values()) and os.environ.get("CI") == "true":
        raise typer.Exit(1)


def sql(
    query: Annotated[str | None, typer.Argument(help="One SELECT; without it a shell opens.")] = None,
    at: Annotated[str | None, typer.Option(help="A snapshot number, or NAME@V: as the rows stood then.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many rows.")] = 1000,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Read-only SQL over all tables and views. Example: rewarddance sql "SELECT * FROM win_rates" --at first@3"""
    from pipelines.cli.output import emit
    from pipelines.cli.sql_shell import shell
    from pipelines.cli.tables import print_table
    from warehouse import open_warehouse
    from warehouse.datasets.versions import snapshot_of
    from warehouse.errors import ConfigError
    from warehouse.sql import query as ask

    if query is None and json:
        raise ConfigError("--json needs a query", hint="leave --json out for the shell")
    with open_warehouse(warehouse) as opened:
        then = None if at is None else snapshot_of(opened, at)
        if query is None:
            shell(opened, limit, then)
            return
        rows = ask(opened, query, limit, then).to_pylist()
    if json:
        emit(rows, True)
    else:
        print_table(rows)
