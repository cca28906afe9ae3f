"""What lies in the warehouse without being needed: found first, deleted on demand.

Files and objects that no row names: media, folders of versions that were never committed, temporary files, data files
of the catalog that no snapshot needs. Whatever is younger than a day is left alone, since somebody may be writing it.
Rows are never collected, and neither is a snapshot that a dataset version was built at. Where object storage lies
behind the folder, both are looked through; the folder of another machine is looked through on that machine.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from warehouse.catalog import Warehouse

DAY_S = 86_400
_CALLS = ("ducklake_cleanup_old_files", "ducklake_delete_orphaned_files")


@dataclass(frozen=True)
class Garbage:
    """A file or object that nothing needs: `kind` media, version, temporary or data; `place` a path or s3:// URL."""

    kind: str
    place: str
    size_bytes: int


@dataclass(frozen=True)
class _File:
    """A file below the folder or below the prefix of the objects."""

    name: str
    place: str
    size_bytes: int
    written_s: float


def _files(warehouse: Warehouse, folder: str) -> Iterator[_File]:
    """Everything below a folder of the warehouse, here and in object storage."""
    for path in sorted((warehouse.root / folder).rglob("*")):
        if path.is_file():
            about = path.stat()
            yield _File(path.relative_to(warehouse.root).as_posix(), str(path), about.st_size, about.st_mtime)
    if warehouse.remote is not None:
        for name, stored in warehouse.remote.listing(f"{folder}/").items():
            yield _File(name, f"{warehouse.remote.url}/{name}", stored.size_bytes, stored.written_s)


def _media(warehouse: Warehouse) -> Iterator[tuple[str, _File]]:
    known = set(warehouse.table("SELECT media_id FROM media")["media_id"].to_pylist())
    for file in _files(warehouse, "media"):
        base = file.name.rpartition("/")[2]
        if base.partition(".")[0] not in known:
            yield "temporary" if base.startswith(".part-") else "media", file


def _versions(warehouse: Warehouse) -> Iterator[tuple[str, _File]]:
    rows = warehouse.rows("SELECT name, version FROM dataset_versions")
    known = {(row["name"], f"v{row['version']}") for row in rows}
    for file in _files(warehouse, "datasets"):
        _, name, version, *inside = file.name.split("/")
        if inside and (name, version) not in known:
            yield "version" if version.startswith("v") else "temporary", file


def _spilled(warehouse: Warehouse) -> Iterator[tuple[str, _File]]:
    """What a killed process's query had put down for lack of memory."""
    return (("temporary", file) for file in _files(warehouse, "tmp"))


def _since(older_s: float) -> str:
    return f"older_than => now() - INTERVAL {int(older_s)} SECOND"


def _data(warehouse: Warehouse, older_s: float) -> Iterator[Garbage]:
    # DuckLake knows which files of its own no snapshot needs, and which it never heard of.
    for call in _CALLS:
        for row in warehouse.rows(f"CALL {call}('lake', dry_run => true, {_since(older_s)})"):
            place = str(next(iter(row.values())))
            yield Garbage("data", place, _size(warehouse, place))


def _size(warehouse: Warehouse, place: str) -> int:
    found = warehouse.rows("SELECT sum(size) AS n FROM read_blob(?)", [place])
    return int(found[0]["n"] or 0)


def garbage(warehouse: Warehouse, older_s: float = DAY_S) -> list[Garbage]:
    """What nothing needs and nobody has touched for `older_s` seconds; a version's files go together or not at all."""
    before = time.time() - older_s
    found = [*_media(warehouse), *_versions(warehouse), *_spilled(warehouse)]
    young = {_group(kind, file) for kind, file in found if file.written_s > before}
    old = [Garbage(kind, file.place, file.size_bytes) for kind, file in found if _group(kind, file) not in young]
    return [*old, *_data(warehouse, older_s)]


def _group(kind: str, file: _File) -> str:
    """What is written together: the folder of a version, else the file alone."""
    return "/".join(file.name.split("/")[:3]) if file.name.startswith("datasets/") else file.name


def _remove(warehouse: Warehouse, item: Garbage) -> None:
    remote = warehouse.remote
    if remote is not None and item.place.startswith(f"{remote.url}/"):
        remote.remove(item.place.removeprefix(f"{remote.url}/"))
        return
    path = warehouse.root / item.place
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == warehouse.root or any(folder.iterdir()):
            break
        folder.rmdir()


def collect(warehouse: Warehouse, dry_run: bool, older_s: float = DAY_S) -> dict[str, Any]:
    """{dry_run, changed, files, bytes, by_kind, garbage: [{kind, path, bytes}]}; deletes unless `dry_run`."""
    found = garbage(warehouse, older_s)
    if not dry_run:
        for call in _CALLS:
            warehouse.rows(f"CALL {call}('lake', {_since(older_s)})")
        for item in found:
            if item.kind != "data":
                _remove(warehouse, item)
    return {
        "dry_run": dry_run,
        "changed": bool(found) and not dry_run,
        "files": len(found),
        "bytes": sum(item.size_bytes for item in found),
        "by_kind": dict(Counter(item.kind for item in found)),
        "garbage": [{"kind": item.kind, "path": item.place, "bytes": item.size_bytes} for item in found],
    }
