"""`rewarddance prompts`."""

from __future__ import annotations

from pathlib import Path

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, IMPORT_COUNTS, Json, Unchanged, WarehouseUrl

app = typer.Typer(no_args_is_help=True)


@app.command("import")
def import_(format: str, path: Path, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False,
            fail_if_unchanged: Unchanged = False) -> None:
    """Import a prompt file. Example: rewarddance prompts import txt prompts.txt"""
    from pipelines.cli.output import finish
    from warehouse import open_warehouse
    from warehouse.importers import import_prompts

    with open_warehouse(warehouse) as opened:
        receipt = import_prompts(format, path, opened)
    finish(receipt, json, keep=IMPORT_COUNTS, fail_if_unchanged=fail_if_unchanged)
