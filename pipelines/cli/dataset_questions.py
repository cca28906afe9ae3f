"""Questions about dataset versions: diff, browse, lineage, leakage, agreement, win rates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, WarehouseUrl

Reference = Annotated[str, typer.Argument(metavar="NAME@V", help="NAME@V, NAME@TAG, or NAME for its latest version.")]
Limit = Annotated[int, typer.Option(min=0, help="How many rows of each kind to show.")]
Page = Annotated[Path | None, typer.Option("--html", help="Also write a page with the pictures to this file.")]


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="NAME@V or NAME@TAG, the earlier one.")],
    b: Annotated[str, typer.Argument(metavar="B", help="NAME@V or NAME@TAG, the later one.")],
    html: Page = None,
    limit: Limit = 20,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Samples added, removed, changed. Example: rewarddance dataset diff first@3 first@4 --html diff.html"""
    from pipelines.cli.output import emit
    from pipelines.report.dataset_pages import diff_page
    from warehouse import open_warehouse
    from warehouse.datasets.diff import diff as diff_of

    with open_warehouse(warehouse) as opened:
        found = diff_page(opened, a, b, html, limit) if html else diff_of(opened, a, b, limit)
    if not json:
        columns = ("sample_key", "split", "dimension", "p_a", "n_votes", "prompt")
        for name in ("added", "removed", "changed"):
            found[name] = [{key: row[key] for key in columns} | _changes(row.get("fields")) for row in found[name]]
    emit(found, json)


def _changes(fields: dict[str, list[str | None]] | None) -> dict[str, dict[str, str]]:
    """What changed of a sample, in the words of the terminal."""
    if fields is None:
        return {}
    return {"fields": {name: " -> ".join((value or "nothing")[:8] for value in pair) for name, pair in fields.items()}}


def browse(
    reference: Reference,
    out: Annotated[Path | None, typer.Option(help="The page (default NAME-vV.html here).")] = None,
    limit: Limit = 200,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """A filterable page of pairs, votes and rationales. Example: rewarddance dataset browse first@3 --limit 500"""
    from pipelines.cli.output import emit
    from pipelines.report.dataset_pages import browse_page
    from warehouse import open_warehouse
    from warehouse.datasets.versions import find_version

    with open_warehouse(warehouse) as opened:
        row = find_version(opened, reference)
        emit(browse_page(opened, reference, out or Path(f"{row['name']}-v{row['version']}.html"), limit), json)


def lineage(
    id: Annotated[str, typer.Argument(help="Any id, a shard's uri, or NAME@V.")],
    direction: Annotated[
        str, typer.Option(help="sources (where it came from), uses (what was made of it), both.")
    ] = "both",
    limit: Annotated[int, typer.Option(min=1, help="Records to follow for each link.")] = 5,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Where a record came from, and what was made of it. Example: rewarddance dataset lineage ID --direction sources"""
    from warehouse import lineage as trees
    from warehouse import open_warehouse
    from warehouse.errors import ConfigError

    ways = {"sources": trees.sources, "uses": trees.uses}
    wanted = list(ways) if direction == "both" else [direction]
    if not set(wanted) <= set(ways):
        raise ConfigError(f"no direction {direction!r}", hint="sources, uses or both")
    with open_warehouse(warehouse) as opened:
        found = {name: ways[name](opened, id, limit) for name in wanted}
    if json:
        from pipelines.cli.output import emit

        root = found[wanted[0]]
        emit({"kind": root.kind, "id": root.id, **{name: node.as_dict() for name, node in found.items()}}, True)
        return
    from pipelines.cli.tables import print_lineage

    for name, node in found.items():
        print_lineage(name, node)


def leakage(
    reference: Reference,
    look_alikes: Annotated[bool, typer.Option("--look-alikes", help="Also compare all pictures by looks.")] = False,
    limit: Limit = 20,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """What splits share: prompts, near prompts, media. Example: rewarddance dataset leakage first@3 --look-alikes"""
    from pipelines.cli.output import emit
    from warehouse import open_warehouse
    from warehouse.datasets.leakage import leakage as leakage_of

    with open_warehouse(warehouse) as opened:
        emit(leakage_of(opened, reference, look_alikes, limit), json)


def agreement(
    reference: Reference,
    by: Annotated[
        str, typer.Option(help="Also split by source, guideline_version, label_config_id, annotator_kind or split.")
    ] = "",
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Krippendorff's alpha of the votes. Example: rewarddance dataset agreement first@3 --by guideline_version"""
    from pipelines.cli.output import emit
    from warehouse import open_warehouse
    from warehouse.datasets.agreement import agreement as agreement_of

    with open_warehouse(warehouse) as opened:
        emit(agreement_of(opened, reference, by), json)


def winrates(reference: Reference, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False) -> None:
    """How often each generator wins, with intervals. Example: rewarddance dataset winrates first@3"""
    from pipelines.cli.output import emit
    from warehouse import open_warehouse
    from warehouse.datasets.winrates import win_rates

    with open_warehouse(warehouse) as opened:
        rows = win_rates(opened, reference)
    if not rows and not json:
        typer.echo(f"{reference}: no voted pair shows two generators")
        return
    emit(rows, json)
