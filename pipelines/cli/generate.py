"""`rewarddance generate`."""

from __future__ import annotations

from pathlib import Path

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, IMPORT_COUNTS, Json, Set, Unchanged, WarehouseUrl, run_one

app = typer.Typer(no_args_is_help=True)


@app.command()
def candidates(set: Set = None, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False,
               fail_if_unchanged: Unchanged = False) -> None:
    """Generate candidates. Example: rewarddance generate candidates --set generator=simulation.policy:load_image"""
    run_one("generation.candidates:CandidateConfig", warehouse, set, json, fail_if_unchanged)


@app.command()
def ingest(manifest: Path, root: Path | None = None, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False,
           fail_if_unchanged: Unchanged = False) -> None:
    """Take in files made elsewhere. Example: rewarddance generate ingest manifest.csv"""
    from generation.ingest import IngestConfig, run

    from pipelines.cli.output import finish
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        receipt = run(IngestConfig(manifest=str(manifest), root=str(root or manifest.parent)), opened)
    finish(receipt, json, keep=IMPORT_COUNTS, fail_if_unchanged=fail_if_unchanged)
