"""Dataset versions as commands answer them: what there is, one version with its splits and shards, and tags.

A reference is NAME (the latest), NAME@V or NAME@TAG. A tag points at one version; it moves only by force, and every
move stands in tag_log.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from warehouse.catalog import Warehouse
from warehouse.datasets.query import origins
from warehouse.datasets.recipe import SPLITS
from warehouse.errors import ConflictError, InvalidInputError, NotFoundError
from warehouse.hashing import content_id, literal
from warehouse.records import Row

_TAG = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


def parse_reference(reference: str) -> tuple[str, int | str | None]:
    """("NAME", V) of `NAME@V`, ("NAME", "TAG") of `NAME@TAG`, ("NAME", None) of `NAME`; raises InvalidInputError."""
    name, at, wanted = reference.partition("@")
    if not name or (at and not (wanted.isdecimal() or _TAG.fullmatch(wanted))):
        raise InvalidInputError(
            f"expected NAME, NAME@V or NAME@TAG, got {reference!r}", hint="see: rewarddance dataset list"
        )
    return name, int(wanted) if wanted.isdecimal() else wanted or None


def find_version(warehouse: Warehouse, reference: str) -> Row:
    """The dataset_versions row of a reference; raises NotFoundError that says what there is."""
    name, wanted = parse_reference(reference)
    number = "version" if wanted is None else str(wanted)
    if isinstance(wanted, str):
        number = f"(SELECT version FROM tags WHERE name = {literal(name)} AND tag = {literal(wanted)})"
    rows = warehouse.rows(
        f"SELECT * FROM dataset_versions WHERE name = {literal(name)} AND version = {number}"
        " ORDER BY version DESC LIMIT 1"
    )
    if not rows:
        raise NotFoundError(
            f"no dataset version {reference}",
            where=warehouse.url,
            hint="rewarddance dataset list shows what there is",
        )
    return rows[0]


def snapshot_of(warehouse: Warehouse, when: str) -> int:
    """The catalog's snapshot of a number, or of a version's reference: the rows as its build read them."""
    return int(when) if when.isdecimal() else int(find_version(warehouse, when)["snapshot_id"])


def votes_at(warehouse: Warehouse, row: Row) -> int | None:
    """The snapshot at which a version's build read votes; None where an erasure has taken that past away."""
    there = warehouse.rows("SELECT 1 FROM ducklake_snapshots('lake') WHERE snapshot_id = ?", [row["snapshot_id"]])
    return int(row["snapshot_id"]) if there else None


def counted_sql(warehouse: Warehouse, row: Row) -> str:
    """SQL over `sample_votes`: did a consensus of this version read the vote, and count its rater?

    Other campaigns, a placebo for example, may have asked about the same pairs. All literals: a join to the runs made
    millions of votes wait in memory.
    """
    recipes = warehouse.rows(f"SELECT body_json FROM recipes WHERE recipe_id = {literal(row['recipe_id'])}")
    named = json.loads(recipes[0]["body_json"])["consensus_ids"] if recipes else [row["consensus_id"]]
    listed = ", ".join(map(literal, named))
    runs = warehouse.rows(f"SELECT params_json, raters_json FROM consensus_runs WHERE consensus_id IN ({listed})")
    raters = [item for run in runs for item in json.loads(run["raters_json"] or "{}").items()]
    left_out = {rater for rater, about in raters if about.get("excluded")}
    if not origins(runs):
        return "true"
    told = ", ".join(map(literal, origins(runs)))
    asked = f"(coalesce(campaign_id, '') IN ({told}) OR source IN ({told}))"
    gone = ", ".join(map(literal, sorted(left_out)))
    return f"{asked} AND annotator_id NOT IN ({gone})" if gone else asked


def _about(row: Row, tags: dict[tuple[str, int], list[str]]) -> dict[str, Any]:
    counts = json.loads(row["counts_json"])
    return {
        **{key: row[key] for key in ("name", "version", "hash", "state", "parent", "recipe_id")},
        "created_at": row["created_at"].isoformat(),
        "tags": tags.get((row["name"], row["version"]), []),
        "rows": sum(counts["splits"].values()),
        "splits": {split: counts["splits"].get(split, 0) for split in SPLITS},
        "left_out": counts["left_out"],
    }


def _tags(warehouse: Warehouse) -> dict[tuple[str, int], list[str]]:
    rows = warehouse.rows("SELECT name, version, list(tag ORDER BY tag) AS tags FROM tags GROUP BY ALL")
    return {(row["name"], row["version"]): row["tags"] for row in rows}


def list_versions(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Every version: name, version, hash, state, parent, recipe_id, created_at, tags, rows, splits, left_out."""
    tags = _tags(warehouse)
    return [_about(row, tags) for row in warehouse.rows("SELECT * FROM dataset_versions ORDER BY name, version")]


def show_version(warehouse: Warehouse, reference: str) -> dict[str, Any]:
    """One version: what `list_versions` says, the card's path, and the shards.

    A shard is {split, uri, sha256, samples, bytes}; uris can be opened as they are, by path or s3://. Raises
    NotFoundError.
    """
    found = find_version(warehouse, reference)
    shards = warehouse.rows(
        "SELECT split, uri, sha256, samples, size_bytes AS bytes FROM shards WHERE name = ? AND version = ?"
        " ORDER BY shard",
        [found["name"], found["version"]],
    )
    base = warehouse.remote.url if warehouse.remote else str(warehouse.root)
    return {
        **_about(found, _tags(warehouse)),
        "card": f"{base}/datasets/{found['name']}/v{found['version']}/README.md",
        "shards": [{**row, "uri": f"{base}/{row['uri']}"} for row in shards],
    }


def tag_version(warehouse: Warehouse, reference: str, tag: str, force: bool = False) -> dict[str, Any]:
    """Point a tag at a version and log it: {name, tag, version, from_version, forced, changed}.

    Raises ConflictError where the tag stands on another version and `force` is not given.
    """
    if not _TAG.fullmatch(tag):
        raise InvalidInputError(
            f"not a tag: {tag!r}", hint="a letter, then at most 63 letters, digits, dots, underscores or dashes"
        )
    with warehouse.commit(f"tag {tag}"):
        found = find_version(warehouse, reference)
        name, version = found["name"], found["version"]
        old = warehouse.rows("SELECT version FROM tags WHERE name = ? AND tag = ?", [name, tag])
        before = old[0]["version"] if old else None
        moved = before not in (None, version)
        if moved and not force:
            raise ConflictError(f"tag {tag} stands on {name}@{before}", hint="--force moves it, and the move is logged")
        if before != version:
            _log_tag(warehouse, name, tag, before, version, moved)
        return {
            "name": name,
            "tag": tag,
            "version": version,
            "from_version": before,
            "forced": moved,
            "changed": before != version,
        }


def _log_tag(warehouse: Warehouse, name: str, tag: str, before: int | None, version: int, forced: bool) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    warehouse.merge("tags", [{"name": name, "tag": tag, "version": version}])
    entry = {
        "log_id": content_id("tag log", name, tag, version, now.isoformat()),
        "name": name,
        "tag": tag,
        "from_version": before,
        "to_version": version,
        "forced": forced,
        "happened_at": now,
    }
    warehouse.merge("tag_log", [entry])


def tag_moves(warehouse: Warehouse, name: str) -> list[dict[str, Any]]:
    """The log of a dataset's tags, oldest first: tag, from_version, to_version, forced, happened_at."""
    rows = warehouse.rows(
        "SELECT tag, from_version, to_version, forced, happened_at FROM tag_log WHERE name = ? ORDER BY happened_at",
        [name],
    )
    return [row | {"happened_at": row["happened_at"].isoformat()} for row in rows]
