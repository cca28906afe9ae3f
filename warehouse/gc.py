"""What lies in the warehouse without being needed: found first, deleted on demand.

Files that no row names: media, folders of versions that were never committed, temporary files, data files of the
catalog that no snapshot needs. Whatever is younger than a day is left alone, since somebody may be writing it. Rows are
never collected, and neither is a snapshot that a dataset version was built at.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.catalog import Warehouse

DAY_S = 86_400


@dataclass(frozen=True)
class Garbage:
    """A file or folder that nothing needs: `kind` media, version, temporary or data."""

    kind: str
    path: Path
    size_bytes: int


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(inner.stat().st_size for inner in path.rglob("*") if inner.is_file())


def _newest_s(path: Path) -> float:
    """When anything in `path` was last written."""
    return max([path.stat().st_mtime, *(inner.stat().st_mtime for inner in path.rglob("*"))])


def _media(warehouse: Warehouse) -> Iterator[tuple[str, Path]]:
    known = set(warehouse.table("SELECT media_id FROM media")["media_id"].to_pylist())
    for path in sorted((warehouse.root / "media").rglob("*")):
        if path.is_file() and path.name.partition(".")[0] not in known:
            yield "temporary" if path.name.startswith(".part-") else "media", path


def _versions(warehouse: Warehouse) -> Iterator[tuple[str, Path]]:
    rows = warehouse.rows("SELECT name, version FROM dataset_versions")
    known = {(row["name"], f"v{row['version']}") for row in rows}
    for folder in sorted((warehouse.root / "datasets").glob("*/*")):
        if folder.is_dir() and (folder.parent.name, folder.name) not in known:
            yield "version" if folder.name.startswith("v") else "temporary", folder


def _data(warehouse: Warehouse, older_s: float) -> Iterator[tuple[str, Path]]:
    # DuckLake knows which files of its own no snapshot needs, and which it never heard of.
    since = f"older_than => now() - INTERVAL {int(older_s)} SECOND"
    for call in ("ducklake_cleanup_old_files", "ducklake_delete_orphaned_files"):
        for row in warehouse.rows(f"CALL {call}('lake', dry_run => true, {since})"):
            yield "data", Path(next(iter(row.values())))


def garbage(warehouse: Warehouse, older_s: float = DAY_S) -> list[Garbage]:
    """What nothing needs and nobody has touched for `older_s` seconds."""
    before = time.time() - older_s
    found = [*_media(warehouse), *_versions(warehouse)]
    old = [(kind, path) for kind, path in found if _newest_s(path) <= before]
    return [Garbage(kind, path, _size(path)) for kind, path in [*old, *_data(warehouse, older_s)] if path.exists()]


def collect(warehouse: Warehouse, dry_run: bool, older_s: float = DAY_S) -> dict[str, Any]:
    """{dry_run, changed, files, bytes, by_kind, garbage: [{kind, path, bytes}]}; deletes unless `dry_run`."""
    found = garbage(warehouse, older_s)
    if not dry_run:
        since = f"older_than => now() - INTERVAL {int(older_s)} SECOND"
        for call in ("ducklake_cleanup_old_files", "ducklake_delete_orphaned_files"):
            warehouse.rows(f"CALL {call}('lake', {since})")
        for item in found:
            shutil.rmtree(item.path) if item.path.is_dir() else item.path.unlink(missing_ok=True)
    by_kind: dict[str, int] = {}
    for item in found:
        by_kind[item.kind] = by_kind.get(item.kind, 0) + 1
    return {
        "dry_run": dry_run,
        "changed": bool(found) and not dry_run,
        "files": len(found),
        "bytes": sum(item.size_bytes for item in found),
        "by_kind": by_kind,
        "garbage": [{"kind": item.kind, "path": str(item.path), "bytes": item.size_bytes} for item in found],
    }
