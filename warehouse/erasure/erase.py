"""Erasure of a forgotten record: rows, bytes, shards and snapshots.

In this order, so that a kill at any moment leaves an erasure that the same command finishes: media bytes and the
pseudonym's key go; shards are written anew without the samples; in one commit the rows go, versions that had such
samples are marked withdrawn, and an audit row says how many samples each lost (never which); at last the past goes, all
older snapshots with their files, so that no time travel brings the rows back. Old snapshots of the rest go with them.
A backup is a warehouse of its own, and is erased from in the same way (pipelines/forgetting.py).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from warehouse.catalog import Warehouse
from warehouse.erasure.rows import delete_rows, gone, mark_gone
from warehouse.erasure.shards import rewrite_split, shard_facts
from warehouse.errors import ConflictError
from warehouse.forget import affected_sql, subject, write_audit
from warehouse.lake import shred
from warehouse.pseudonyms import destroy_key
from warehouse.records import Row
from warehouse.shards.reader import split_folder


def erase(warehouse: Warehouse, kind: str, record_id: str) -> dict[str, Any]:
    """Take a record away for good: {kind, samples: {NAME@V: n}, rows: {table: n}, media}.

    The record must have been forgotten before, so that nothing new is made of it meanwhile: ConflictError else. A
    second call finishes what a killed one left.
    """
    about = subject(kind, record_id)
    known = warehouse.rows("SELECT action FROM audit WHERE subject = ?", [about])
    if not known:
        raise ConflictError(f"{kind} {record_id} was not forgotten yet", hint="rewarddance dataset forget does both")
    samples = warehouse.rows(affected_sql(kind), [record_id])
    mark_gone(warehouse, kind, record_id)
    media = gone(warehouse, "media")
    for media_id in media:
        warehouse.media.remove(media_id)
    for annotator_id in gone(warehouse, "annotators"):
        destroy_key(warehouse, annotator_id)
    _rewrite_shards(warehouse, samples)
    lost = Counter(f"{row['name']}@{row['version']}" for row in samples)
    with warehouse.commit(f"erase {kind}"):
        _update_versions(warehouse, samples)
        rows = delete_rows(warehouse, kind, record_id)
        warehouse.rows("DELETE FROM audit WHERE subject = ? AND action = 'forget'", [about])
        write_audit(warehouse, "erase", about, {"kind": kind, "samples": dict(lost), "rows": rows, "media": len(media)})
    for name, version, split in _by_split(samples):
        warehouse.release(split_folder(warehouse, name, version, split))
    purge_history(warehouse)
    return {"kind": kind, "samples": dict(lost), "rows": rows, "media": len(media)}


def _by_split(samples: list[Row]) -> dict[tuple[str, int, str], set[str]]:
    found: dict[tuple[str, int, str], set[str]] = defaultdict(set)
    for row in samples:
        found[row["name"], row["version"], row["split"]].add(row["sample_key"])
    return found


def _rewrite_shards(warehouse: Warehouse, samples: list[Row]) -> None:
    for (name, version, split), keys in sorted(_by_split(samples).items()):
        folder = warehouse.root / "datasets" / name / f"v{version}" / split
        _bring(warehouse, name, version, split)
        rewrite_split(folder, keys)
        warehouse.publish(folder)


def _bring(warehouse: Warehouse, name: str, version: int, split: str) -> None:
    """A whole split on this machine, as object storage has it now; a killed erasure may have left another one here."""
    if warehouse.remote is None:
        return
    folder = split_folder(warehouse, name, version, split)
    warehouse.release(folder)
    for shard in warehouse.remote.names(f"{folder.relative_to(warehouse.root).as_posix()}/"):
        warehouse.local(shard)


def _update_versions(warehouse: Warehouse, samples: list[Row]) -> None:
    """Rows of shards as they lie there now, rows of samples without the erased ones, versions withdrawn."""
    for name, version, shard in sorted({(row["name"], row["version"], row["shard"]) for row in samples}):
        split, _, file = shard.partition("/")
        place = [name, version, shard]
        facts = shard_facts(warehouse.root / "datasets" / name / f"v{version}" / split, file)
        if facts is None:
            warehouse.rows("DELETE FROM shards WHERE name = ? AND version = ? AND shard = ?", place)
        else:
            warehouse.rows(
                "UPDATE shards SET sha256 = $4, samples = $5, size_bytes = $6"
                " WHERE name = $1 AND version = $2 AND shard = $3",
                [*place, *facts.values()],
            )
    for (name, version, _), keys in _by_split(samples).items():
        warehouse.rows(
            "DELETE FROM samples WHERE name = ? AND version = ? AND sample_key IN (SELECT unnest(?))",
            [name, version, sorted(keys)],
        )
        warehouse.rows(
            "UPDATE dataset_versions SET state = 'withdrawn' WHERE name = ? AND version = ?", [name, version]
        )


def purge_history(warehouse: Warehouse) -> None:
    """Forget every older snapshot, and delete the files that only they needed."""
    with warehouse.commit():
        warehouse.rows("CALL ducklake_flush_inlined_data('lake')")
    for call in (
        "ducklake_rewrite_data_files('lake', delete_threshold => 0.0)",
        "ducklake_merge_adjacent_files('lake')",
        "ducklake_expire_snapshots('lake', older_than => now())",
        "ducklake_cleanup_old_files('lake', cleanup_all => true)",
    ):
        warehouse.rows(f"CALL {call}")
    shred(warehouse.place)
