"""Dataset versions as commands answer them: what there is, and one version with its splits and shards."""

from __future__ import annotations

import json
from typing import Any

from warehouse.catalog import Warehouse
from warehouse.datasets.recipe import SPLITS
from warehouse.errors import InvalidInputError, NotFoundError
from warehouse.records import Row


def parse_reference(reference: str) -> tuple[str, int | None]:
    """("NAME", V) of `NAME@V`, ("NAME", None) of `NAME`; raises InvalidInputError."""
    name, at, number = reference.partition("@")
    if not name or (at and not number.isdecimal()):
        raise InvalidInputError(f"expected NAME or NAME@V, got {reference!r}", hint="see: rewarddance dataset list")
    return name, int(number) if at else None


def _about(row: Row) -> dict[str, Any]:
    counts = json.loads(row["counts_json"])
    return {
        **{key: row[key] for key in ("name", "version", "hash", "state", "parent", "recipe_id")},
        "created_at": row["created_at"].isoformat(),
        "rows": sum(counts["splits"].values()),
        "splits": {split: counts["splits"].get(split, 0) for split in SPLITS},
        "left_out": counts["left_out"],
    }


def list_versions(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Every version: name, version, hash, state, parent, recipe_id, created_at, rows, splits, left_out."""
    return [_about(row) for row in warehouse.rows("SELECT * FROM dataset_versions ORDER BY name, version")]


def show_version(warehouse: Warehouse, reference: str) -> dict[str, Any]:
    """One version, `NAME` being its latest: what `list_versions` says, the card's path, and the shards.

    A shard is {split, uri, sha256, samples, bytes}; uris can be opened as they are. Raises NotFoundError.
    """
    name, version = parse_reference(reference)
    found = warehouse.rows(
        "SELECT * FROM dataset_versions WHERE name = ? AND version = coalesce(?, version)"
        " ORDER BY version DESC LIMIT 1",
        [name, version],
    )
    if not found:
        raise NotFoundError(f"no dataset version {reference}", hint="rewarddance dataset list shows what there is")
    shards = warehouse.rows(
        "SELECT split, uri, sha256, samples, size_bytes AS bytes FROM shards WHERE name = ? AND version = ?"
        " ORDER BY shard",
        [name, found[0]["version"]],
    )
    folder = warehouse.root / "datasets" / name / f"v{found[0]['version']}"
    return {
        **_about(found[0]),
        "card": str(folder / "README.md"),
        "shards": [{**row, "uri": str(warehouse.root / row["uri"])} for row in shards],
    }
