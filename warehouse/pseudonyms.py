"""Names under which raters leave the warehouse: other ones in every export, and none that leads back once erased.

Each rater has a secret key in a file or object of its own, outside the tables, so that no query shows it. The name in
an export is HMAC-SHA256(key, export id): within one export the same rater has the same name, two exports cannot be
joined on it, and without the key nobody can say whose name it was.
"""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

from warehouse.catalog import Warehouse
from warehouse.errors import NotFoundError

_BYTES = 32


def _place(warehouse: Warehouse, annotator_id: str) -> Path:
    return warehouse.root / "keys" / annotator_id


def _key(warehouse: Warehouse, annotator_id: str) -> bytes:
    """The rater's key, made at its first use; of two processes only the first makes it."""
    known = _read(warehouse, annotator_id)
    if known is not None:
        return known
    with warehouse.commit():
        return _read(warehouse, annotator_id) or _make(warehouse, annotator_id)


def _read(warehouse: Warehouse, annotator_id: str) -> bytes | None:
    try:
        if warehouse.remote is not None:
            # Not kept here: an erasure on another machine must reach every key.
            return warehouse.remote.read(f"keys/{annotator_id}")
        return _place(warehouse, annotator_id).read_bytes()
    except (NotFoundError, FileNotFoundError):
        return None


def _make(warehouse: Warehouse, annotator_id: str) -> bytes:
    path, key = _place(warehouse, annotator_id), secrets.token_bytes(_BYTES)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.touch(mode=0o600)
    part.write_bytes(key)
    if warehouse.remote is not None:
        warehouse.remote.write(f"keys/{annotator_id}", part)
        part.unlink()
    else:
        os.replace(part, path)
    return key


class Pseudonyms:
    """The names of raters in one export."""

    def __init__(self, warehouse: Warehouse, export_id: str) -> None:
        self._warehouse, self._export_id = warehouse, export_id
        self._known: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, annotator_id: str) -> str:
        """`rater-` and 16 hex digits."""
        if annotator_id not in self._known:
            digest = hmac.new(_key(self._warehouse, annotator_id), self._export_id.encode(), "sha256").hexdigest()
            self._known[annotator_id] = f"rater-{digest[:16]}"
        return self._known[annotator_id]


def destroy_key(warehouse: Warehouse, annotator_id: str) -> None:
    """After this nobody can say which name in an export was the rater's."""
    _place(warehouse, annotator_id).unlink(missing_ok=True)
    if warehouse.remote is not None:
        warehouse.remote.remove(f"keys/{annotator_id}")
