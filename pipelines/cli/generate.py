"""`rewarddance generate`: candidates by a generator, or files made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import (
    DEFAULT_WAREHOUSE,
    Json,
    Keys,
    Set,
    Unchanged,
    WarehouseUrl,
    print_keys,
    run_one,
)

app = typer.Typer()
_STAGE = "generation.candidates:CandidateConfig"


@app.callback(invoke_without_command=True)
def generate(
    context: typer.Context,
    set: Set = None,
    keys: Keys = False,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Generate candidates. Example: rewarddance generate --set generator=my_module:Generator --set source=txt"""
    if context.invoked_subcommand is not None:
        return
    if keys:
        print_keys(_STAGE, json)
    else:
        run_one(_STAGE, warehouse, set, json, fail_if_unchanged)


@app.command()
def ingest(
    manifest: Path,
    root: Annotated[Path | None, typer.Option(help="Folder of the paths (default: the manifest's).")] = None,
    source: Annotated[str, typer.Option(help="Name of the collection the files belong to.")] = "files",
    licence: Annotated[str, typer.Option(help="Licence of the files.")] = "",
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Take in files made elsewhere (CSV or JSONL manifest). Example: rewarddance generate ingest manifest.csv"""
    from generation.ingest import IngestConfig, run
    from pipelines.cli.output import finish_import
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        receipt = run(IngestConfig(manifest=manifest, root=root, source=source, licence=licence), opened)
    finish_import(receipt, json, fail_if_unchanged=fail_if_unchanged)
