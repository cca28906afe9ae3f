"""Keeping dataset versions: verify, forget, export, collect garbage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, Unchanged, WarehouseUrl

Reference = Annotated[str, typer.Argument(metavar="NAME@V", help="NAME@V, NAME@TAG, or NAME for its latest version.")]


def verify(reference: Reference, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False) -> None:
    """Check every hash, shard and sample; 1 where one is wrong. Example: rewarddance dataset verify first@3"""
    from pipelines.cli.output import emit
    from warehouse import open_warehouse
    from warehouse.datasets.verify import verify as verify_version

    with open_warehouse(warehouse) as opened:
        found = verify_version(opened, reference)
    emit(found, json)
    if not found["ok"]:
        raise typer.Exit(1)


def forget(
    annotator: Annotated[str | None, typer.Option(help="An annotator's id.")] = None,
    media: Annotated[str | None, typer.Option(help="The id of a picture or clip.")] = None,
    prompt: Annotated[str | None, typer.Option(help="A prompt's id.")] = None,
    source: Annotated[str | None, typer.Option(help="The name of a source.")] = None,
    erase: Annotated[bool, typer.Option("--erase", help="Also remove rows, bytes and old snapshots.")] = False,
    backup: Annotated[list[str] | None, typer.Option(help="A copy to erase from, too; repeat.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what depends on it.")] = False,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Build datasets without a record, and keep it out. Example: rewarddance dataset forget --annotator ID --dry-run"""
    from pipelines.cli.output import emit
    from pipelines.forgetting import forget as forget_record
    from warehouse import open_warehouse
    from warehouse.errors import ConfigError

    named = {"annotator": annotator, "media": media, "prompt": prompt, "source": source}
    given = [(kind, value) for kind, value in named.items() if value is not None]
    if len(given) != 1:
        raise ConfigError("name one of --annotator, --media, --prompt, --source", hint="one record at a time")
    if backup and not erase:
        raise ConfigError("--backup goes with --erase", hint="forgetting alone leaves copies as they are")
    with open_warehouse(warehouse) as opened:
        answer = forget_record(opened, *given[0], erasing=erase, dry_run=dry_run, backups=backup or [])
    emit(answer, json)
    if fail_if_unchanged and not answer["changed"]:
        raise typer.Exit(4)


def export(
    reference: Reference,
    to: Annotated[str, typer.Option(help="parquet, datasets, trl or jsonl.")],
    out: Annotated[Path | None, typer.Option(help="The new folder (default NAME-vV-FORMAT here).")] = None,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Write a version as files for others. Example: rewarddance dataset export first@3 --to trl --out first-trl"""
    from pipelines.cli.output import emit
    from warehouse import open_warehouse
    from warehouse.datasets.versions import find_version
    from warehouse.export import export as export_version

    with open_warehouse(warehouse) as opened:
        row = find_version(opened, reference)
        emit(export_version(opened, reference, to, out or Path(f"{row['name']}-v{row['version']}-{to}")), json)


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    older_h: Annotated[float, typer.Option(min=0, help="Leave alone what is younger than this many hours.")] = 24.0,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Delete files that nothing needs. Example: rewarddance dataset gc --dry-run"""
    from pipelines.cli.output import emit
    from warehouse import open_warehouse
    from warehouse.gc import collect

    with open_warehouse(warehouse) as opened:
        answer = collect(opened, dry_run, older_h * 3600)
    emit(answer, json)
    if fail_if_unchanged and not answer["changed"]:
        raise typer.Exit(4)
