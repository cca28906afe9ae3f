"""A dataset version as `dataset show` answers it: hash, rows, splits and shards, from the warehouse's own tables."""

from __future__ import annotations

from typing import Any

from warehouse import Warehouse
from warehouse.errors import InvalidInputError, NotFoundError


def parse_reference(reference: str) -> tuple[str, int]:
    """("NAME", V) of `NAME@V`; raises InvalidInputError."""
    name, at, number = reference.rpartition("@")
    if not at or not number.isdigit():
        raise InvalidInputError(f"expected NAME@V, got {reference!r}", hint="see: rewarddance dataset list")
    return name, int(number)


def describe(warehouse: Warehouse, reference: str) -> dict[str, Any]:
    """{name, version, hash, state, rows, splits, shards} of `NAME@V`; raises NotFoundError."""
    name, version = parse_reference(reference)
    found = warehouse.rows("SELECT hash, state, created_at FROM dataset_versions WHERE name = ? AND version = ?",
                           [name, version])
    if not found:
        raise NotFoundError(f"no dataset version {reference}", hint="rewarddance dataset list shows what there is")
    splits = warehouse.rows("SELECT split, count(*) AS n FROM samples WHERE name = ? AND version = ? "
                            "GROUP BY 1 ORDER BY 1", [name, version])
    shards = warehouse.rows("SELECT uri, sha256, samples, size_bytes AS bytes FROM shards "
                            "WHERE name = ? AND version = ? ORDER BY shard", [name, version])
    return {"name": name, "version": version, **found[0], "rows": sum(row["n"] for row in splits),
            "splits": {row["split"]: row["n"] for row in splits}, "shards": shards}
