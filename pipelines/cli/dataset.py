"""`rewarddance dataset`: make versions and look at them; questions and keeping have modules of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli import dataset_keeping, dataset_questions
from pipelines.cli.options import (
    DEFAULT_WAREHOUSE,
    Json,
    Keys,
    Set,
    Unchanged,
    WarehouseUrl,
    parse_settings,
    print_keys,
    staged,
)

app = typer.Typer(no_args_is_help=True)
_BUILD = "warehouse.datasets.build:BuildConfig"
_IMPORT = "warehouse.importers.run:ImportConfig"
Reference = Annotated[str, typer.Argument(metavar="NAME@V", help="NAME@V, NAME@TAG, or NAME for its latest version.")]


@app.command()
def build(
    recipe: Annotated[Path | None, typer.Argument(help="YAML file of the recipe's keys; --set goes over it.")] = None,
    set: Set = None,
    keys: Keys = False,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Build a dataset version. Example: rewarddance dataset build recipe.yaml --set 'consensus_ids=[ID]'"""
    from pipelines.cli.output import finish

    if keys:
        return print_keys(_BUILD, json)
    options = {**_read_recipe(recipe), **parse_settings(set)}
    return finish(staged(_BUILD, options, warehouse), json, fail_if_unchanged=fail_if_unchanged)


def _read_recipe(path: Path | None) -> dict[str, object]:
    import yaml

    from warehouse.errors import ConfigError

    if path is None:
        return {}
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"the recipe cannot be read: {error}", where=str(path)) from error
    if not isinstance(loaded, dict):
        raise ConfigError("a recipe is a YAML mapping", where=str(path), hint="rewarddance dataset build --keys")
    return loaded


@app.command("import")
def import_(
    format: Annotated[str | None, typer.Argument(help="hpdv3, pickapic, table …: see docs/importing.md.")] = None,
    path: Annotated[Path | None, typer.Argument(help="A file or a folder.")] = None,
    media: Annotated[Path | None, typer.Option(help="Folder of the media (default: PATH's).")] = None,
    name: Annotated[str, typer.Option(help="Name of the source (default: the format).")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the data (default: the published one).")] = "",
    set: Set = None,
    keys: Keys = False,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Import preference data, a file or a folder. Example: rewarddance dataset import videoalign annotations.csv"""
    from pipelines.cli.output import finish_import

    if keys:
        return print_keys(_IMPORT, json)
    if format is None or path is None:
        raise typer.BadParameter("FORMAT and PATH are needed, as in `rewarddance dataset import videoalign clips.csv`")
    given = {"format": format, "path": str(path), "media_root": media and str(media), "name": name, "licence": licence}
    options = {key: value for key, value in given.items() if value} | parse_settings(set)
    return finish_import(staged(_IMPORT, options, warehouse), json, fail_if_unchanged=fail_if_unchanged)


@app.command()
def instructions(
    file: Annotated[Path | None, typer.Argument(help="YAML of questions (default: those of this software).")] = None,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Store the questions that samples carry; a build needs them. Example: rewarddance dataset instructions"""
    from pipelines.cli.output import finish
    from pipelines.config import SOURCE_ROOT

    chosen = file or SOURCE_ROOT / "configs" / "instructions" / "default.yaml"
    receipt = staged("rm.instructions:InstructionConfig", {"file": str(chosen)}, warehouse)
    finish(receipt, json, fail_if_unchanged=fail_if_unchanged)


@app.command("list")
def list_(warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False) -> None:
    """List dataset versions. Example: rewarddance dataset list"""
    from warehouse import open_warehouse
    from warehouse.datasets.versions import list_versions

    with open_warehouse(warehouse) as opened:
        _versions(list_versions(opened), json)


def _versions(rows: list[dict[str, Any]], as_json: bool) -> None:
    from pipelines.cli.output import emit
    from pipelines.cli.tables import print_versions

    if as_json:
        emit(rows, True)
    else:
        print_versions(rows)


@app.command()
def show(reference: Reference, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False) -> None:
    """Show a version NAME@V, or the latest of NAME, with splits and shards. Example: rewarddance dataset show first"""
    from pipelines.cli.output import emit
    from warehouse import open_warehouse
    from warehouse.datasets.versions import show_version

    with open_warehouse(warehouse) as opened:
        emit(show_version(opened, reference), json)


@app.command()
def log(name: str, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False) -> None:
    """Versions of a dataset, newest first, and what changed in each. Example: rewarddance dataset log first"""
    from warehouse import open_warehouse
    from warehouse.datasets.diff import log as log_of

    with open_warehouse(warehouse) as opened:
        _versions(log_of(opened, name), json)


@app.command()
def tag(
    reference: Reference,
    tag: Annotated[str | None, typer.Argument(help="The tag; without it, the log of the dataset's tags.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Move a tag that stands elsewhere; it is logged.")] = False,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Name a version; NAME@TAG then finds it. Example: rewarddance dataset tag first@3 release"""
    from pipelines.cli.output import emit
    from warehouse import open_warehouse
    from warehouse.datasets.versions import find_version, tag_moves, tag_version

    with open_warehouse(warehouse) as opened:
        if tag is None:
            emit(tag_moves(opened, find_version(opened, reference)["name"]), json)
            return
        answer = tag_version(opened, reference, tag, force)
    emit(answer, json)
    if fail_if_unchanged and not answer["changed"]:
        raise typer.Exit(4)


for command in (
    dataset_questions.diff,
    dataset_questions.browse,
    dataset_questions.lineage,
    dataset_questions.leakage,
    dataset_questions.agreement,
    dataset_questions.winrates,
    dataset_keeping.verify,
    dataset_keeping.forget,
    dataset_keeping.export,
    dataset_keeping.gc,
):
    app.command()(command)
