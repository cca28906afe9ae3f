"""Media of imported items: embedded bytes or files below one folder; absent ones are counted, not refused."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from warehouse.catalog import Warehouse
from warehouse.errors import MediaError
from warehouse.importers.comparison import Item
from warehouse.media.probe import MediaInfo
from warehouse.records import Row


def media_row(warehouse: Warehouse, info: MediaInfo, source: str, licence_id: str | None = None) -> Row:
    """The media table's row of a stored file."""
    facts = {key: value for key, value in asdict(info).items() if key != "extension"}
    return facts | {"uri": warehouse.media.uri(info), "source": source, "licence_id": licence_id}


def find_below(root: Path, relative: str) -> Path | None:
    """`root`/`relative` where it is a file; raises MediaError with reason bad_path, or outside_root."""
    try:
        # Most paths of a public dataset are absent or plain: only what is there, or climbs, is followed.
        if not relative.startswith(("/", "..")):
            os.stat(os.path.join(root, relative))
        target = (root / relative).resolve()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, OSError) as error:
        raise MediaError(f"{relative!r} is no path: {error}", reason="bad_path") from error
    if not target.is_relative_to(root.resolve()):
        raise MediaError(f"{relative} lies outside {root}", reason="outside_root")
    return target if target.is_file() else None


class MediaFolder:
    """Reads each file once and stores it.

    `absent` holds the names of items without media; rows of the media table are collected until they are taken.
    """

    def __init__(self, warehouse: Warehouse, root: Path, source: str, licence_id: str | None) -> None:
        self.warehouse, self.root = warehouse, root
        self.source, self.licence_id = source, licence_id
        self.absent: set[str] = set()
        self._rows: dict[str, Row] = {}
        # Media ids, or why there is none, by path and by the name of an item handed over before.
        self._known: dict[str, str | MediaError] = {}
        self._embedded: dict[str, str | MediaError] = {}

    def take_rows(self) -> list[Row]:
        """Rows of the media found since the last call."""
        rows, self._rows = list(self._rows.values()), {}
        return rows

    def keep(self, item: Item, kind: str) -> None:
        """Store the bytes of an item that comparisons will name later; what is wrong with them is raised then."""
        assert item.data is not None
        try:
            self._embedded[item.name] = self._store(item.data, kind)
        except MediaError as error:
            self._embedded[item.name] = error

    def find(self, item: Item, kind: str) -> str | None:
        """The media id, None where there is no file; raises MediaError for bytes that cannot be used."""
        if item.data is not None:
            return self._store(item.data, kind)
        if item.name in self._embedded:
            return _usable(self._embedded[item.name])
        for path in (item.path, *item.elsewhere):
            if path and (path in self._known or self._load(path, kind)):
                return _usable(self._known[path])
        self.absent.add(item.name)
        return None

    def _load(self, path: str, kind: str) -> bool:
        """False where there is no such file."""
        target = find_below(self.root, path)
        if target is None:
            return False
        try:
            self._known[path] = self._store(target.read_bytes(), kind)
        except MediaError as error:
            self._known[path] = error
        return True

    def _store(self, data: bytes, kind: str) -> str:
        info = self.warehouse.media.put(data)
        if info.kind != kind:
            raise MediaError(f"a file of kind {info.kind}, expected {kind}", reason="wrong_kind")
        self._rows.setdefault(info.media_id, media_row(self.warehouse, info, self.source, self.licence_id))
        return info.media_id


def _usable(found: str | MediaError) -> str:
    if isinstance(found, MediaError):
        raise found
    return found


def files_digest(root: Path, paths: Iterable[str]) -> str:
    """A digest of which of the named files are there and how large: media that arrive later make a new run.

    Depends on the order of `paths`, which may be endless: none of them is held.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            size = str(os.stat(os.path.join(root, path)).st_size)
        except (OSError, ValueError):
            size = "absent"
        # No path holds a NUL.
        digest.update(f"{path}\0{size}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]
