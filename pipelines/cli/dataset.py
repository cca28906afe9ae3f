"""`rewarddance dataset`: import preference data, build, list and show versions."""

from __future__ import annotations

from pathlib import Path

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, IMPORT_COUNTS, Json, Set, Unchanged, WarehouseUrl, run_one

app = typer.Typer(no_args_is_help=True)


@app.command("import")
def import_(format: str, path: Path, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False,
            fail_if_unchanged: Unchanged = False) -> None:
    """Import preference data. Example: rewarddance dataset import videoalign annotations.csv"""
    from pipelines.cli.output import finish
    from warehouse import open_warehouse
    from warehouse.importers import import_preferences

    with open_warehouse(warehouse) as opened:
        receipt = import_preferences(format, path, opened)
    finish(receipt, json, keep=IMPORT_COUNTS, fail_if_unchanged=fail_if_unchanged)


@app.command()
def build(set: Set = None, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False,
          fail_if_unchanged: Unchanged = False) -> None:
    """Build a dataset version. Example: rewarddance dataset build --set name=first"""
    run_one("warehouse.datasets.build:Recipe", warehouse, set, json, fail_if_unchanged)


@app.command("list")
def list_(warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False) -> None:
    """List dataset versions. Example: rewarddance dataset list"""
    from pipelines.cli.output import emit
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        emit(opened.rows("SELECT name, version, hash, state, created_at FROM dataset_versions ORDER BY name, version"),
             json)


@app.command()
def show(reference: str, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False) -> None:
    """Show a version NAME@V with its splits and shards. Example: rewarddance dataset show first@1"""
    from pipelines.cli.output import emit
    from pipelines.versions import describe
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        emit(describe(opened, reference), json)
