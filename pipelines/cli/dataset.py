"""`rewarddance dataset`: import preference data, build, list and show versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import (
    DEFAULT_WAREHOUSE,
    Json,
    Set,
    Unchanged,
    WarehouseUrl,
    parse_settings,
    stage_command,
)

app = typer.Typer(no_args_is_help=True)
app.command("build")(
    stage_command(
        "warehouse.datasets.build:BuildConfig",
        "Build a dataset version. Example: rewarddance dataset build --set name=first --set 'consensus_ids=[ID]'",
    )
)


@app.command("import")
def import_(
    format: str,
    path: Path,
    media: Annotated[Path | None, typer.Option(help="Folder of the media (default: PATH's).")] = None,
    set: Set = None,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Import preference data, a file or a folder. Example: rewarddance dataset import videoalign annotations.csv"""
    from pipelines.cli.output import finish_import
    from pipelines.job import run_stage_config

    options = {"format": format, "path": str(path), "media_root": media and str(media), **parse_settings(set)}
    receipt = run_stage_config("warehouse.importers.run:ImportConfig", options, warehouse)
    finish_import(receipt, json, fail_if_unchanged=fail_if_unchanged)


@app.command("list")
def list_(warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False) -> None:
    """List dataset versions. Example: rewarddance dataset list"""
    from pipelines.cli.output import emit
    from warehouse import open_warehouse

    query = "SELECT name, version, hash, state, created_at FROM dataset_versions ORDER BY name, version"
    with open_warehouse(warehouse) as opened:
        emit(opened.rows(query), json)


@app.command()
def show(reference: str, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False) -> None:
    """Show a version NAME@V with its splits and shards. Example: rewarddance dataset show first@1"""
    from pipelines.cli.output import emit
    from pipelines.versions import describe
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        emit(describe(opened, reference), json)
