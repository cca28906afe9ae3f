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
    from warehouse.datasets.versions import list_versions

    with open_warehouse(warehouse) as opened:
        emit(list_versions(opened), json)


@app.command()
def show(reference: str, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False) -> None:
    """Show a version NAME@V, or the latest of NAME, with splits and shards. Example: rewarddance dataset show first"""
    from pipelines.cli.output import emit
    from warehouse import open_warehouse
    from warehouse.datasets.versions import show_version

    with open_warehouse(warehouse) as opened:
        emit(show_version(opened, reference), json)
