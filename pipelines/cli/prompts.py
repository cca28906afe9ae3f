"""`rewarddance prompts`: prompt sets from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, Unchanged, WarehouseUrl, staged

app = typer.Typer(no_args_is_help=True)


@app.callback()
def prompts() -> None:
    """Prompt sets: import them from files."""


@app.command("import")
def import_(
    format: str,
    path: Path,
    source: Annotated[str, typer.Option(help="Name of the source (default: the format).")] = "",
    task: Annotated[str, typer.Option(help="t2i, t2v, i2v or edit (default: the format's own).")] = "",
    column: Annotated[str, typer.Option(help="Column of the prompt, for csv, jsonl and parquet.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the prompts.")] = "",
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Import a prompt file or folder. Example: rewarddance prompts import partiprompts PartiPrompts.tsv"""
    from pipelines.cli.output import finish_import

    options = {"format": format, "path": str(path), "source": source, "task": task, "column": column}
    config = {"source": "generation.formats:read_prompts", "options": options, "licence": licence}
    receipt = staged("generation.prompts:PromptConfig", config, warehouse)
    finish_import(receipt, json, fail_if_unchanged=fail_if_unchanged)
