"""Media of imported items: embedded bytes or files below one folder; absent ones are counted, not refused."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

from warehouse.catalog import Warehouse
from warehouse.errors import MediaError
from warehouse.hashing import content_id
from warehouse.importers.comparison import Item
from warehouse.media.probe import MediaInfo
from warehouse.records import Row


def media_row(warehouse: Warehouse, info: MediaInfo, source: str, licence_id: str | None = None) -> Row:
    """The media table's row of a stored file."""
    facts = {key: value for key, value in asdict(info).items() if key != "extension"}
    return facts | {"uri": warehouse.media.uri(info), "source": source, "licence_id": licence_id}


def resolve_below(root: Path, relative: str) -> Path:
    """`root`/`relative`; raises MediaError with reason bad_path, or outside_root where it leaves the folder."""
    try:
        target = (root / relative).resolve()
    except (ValueError, OSError) as error:
        raise MediaError(f"{relative!r} is no path: {error}", reason="bad_path") from error
    if not target.is_relative_to(root.resolve()):
        raise MediaError(f"{relative} lies outside {root}", reason="outside_root")
    return target


class MediaFolder:
    """Reads each file once, stores it, remembers its row; `absent` holds the names of items without media."""

    def __init__(self, warehouse: Warehouse, root: Path, kind: str, source: str, licence_id: str | None) -> None:
        self.warehouse, self.root, self.kind = warehouse, root, kind
        self.source, self.licence_id = source, licence_id
        self.absent: set[str] = set()
        self._known: dict[str, Row] = {}

    def find(self, item: Item) -> Row | None:
        """The media row, None where there is no file; raises MediaError for bytes that cannot be used."""
        if item.data is not None:
            return self._store(item.data)
        target = resolve_below(self.root, item.path) if item.path else None
        if target is None or not os.path.isfile(target):
            self.absent.add(item.name)
            return None
        if item.path not in self._known:
            self._known[item.path] = self._store(target.read_bytes())
        return self._known[item.path]

    def _store(self, data: bytes) -> Row:
        info = self.warehouse.media.put(data)
        if info.kind != self.kind:
            raise MediaError(f"a file of kind {info.kind}, expected {self.kind}", reason="wrong_kind")
        return media_row(self.warehouse, info, self.source, self.licence_id)


def files_digest(root: Path, paths: set[str]) -> str:
    """A digest of which of the named files are there and how large: media that arrive later make a new run."""
    parts: list[str] = []
    for path in sorted(paths):
        target = root / path
        parts += [path, str(target.stat().st_size) if os.path.isfile(target) else "absent"]
    return content_id("media files", *parts)
