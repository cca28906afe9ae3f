"""`rewarddance rm gate`: attack a reward model of ours, a served one, or somebody else's scorer."""

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
    parse_settings,
    print_keys,
    staged,
)

_STAGE = "rm.gate:GateConfig"


def gate(
    subject: Annotated[str, typer.Argument(help="A model, module:Class of a scorer, or the URL of a server.")] = "",
    dataset: Annotated[str, typer.Option(help="NAME@V, whose clearest pairs are the opponents.")] = "",
    scorer_options: Annotated[str, typer.Option(help="Options of module:Class, as YAML.")] = "",
    card: Annotated[Path | None, typer.Option(help="Write the one-page card here.")] = None,
    set: Set = None,
    keys: Keys = False,
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
    fail_if_unchanged: Unchanged = False,
) -> None:
    """Attack a scorer; a failed model is not promoted. Example: rewarddance rm gate MODEL --dataset first@1"""
    from pipelines.cli.output import finish
    from rm.gate_card import gate_card
    from warehouse import open_warehouse

    if keys:
        return print_keys(_STAGE, json)
    options = {**_subject(subject, scorer_options), **_version(dataset, warehouse), **parse_settings(set)}
    receipt = staged(_STAGE, options, warehouse)
    if card:
        with open_warehouse(warehouse) as opened:
            card.write_text(gate_card(opened, [receipt.outputs["model_id"]]), encoding="utf-8")
    return finish(receipt, json, fail_if_unchanged=fail_if_unchanged)


def _subject(subject: str, scorer_options: str) -> dict[str, object]:
    """A server by its URL, a plug-in by its colon, else a model."""
    if not subject:
        return {}
    options = parse_settings([f"options={scorer_options or '{}'}"])["options"]
    if subject.startswith(("http://", "https://")):
        return {"scorer": "rm.scorers.client:RewardClient", "scorer_options": {"url": subject}}
    if ":" in subject:
        return {"scorer": subject, "scorer_options": options}
    return {"model_id": subject}


def _version(dataset: str, warehouse: str) -> dict[str, object]:
    """Name and number of NAME@V, or of NAME@TAG."""
    from warehouse import open_warehouse
    from warehouse.datasets.versions import find_version

    if not dataset:
        return {}
    with open_warehouse(warehouse) as opened:
        found = find_version(opened, dataset)
    return {"dataset": found["name"], "version": found["version"]}
