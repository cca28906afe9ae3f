"""A content-addressed store of media bytes: media/sha256/ab/cd/<sha256>.<ext>.

Bytes are probed first, written under a temporary name, synced, then renamed: what has its name is whole. Where object
storage lies behind the folder, bytes are stored there too, and the folder keeps copies of what was read.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from warehouse.errors import DiskFullError, NotFoundError
from warehouse.media.probe import MediaInfo, MediaLimits, probe
from warehouse.remote import Remote

_NO_SPACE = 28


class MediaStore:
    """Media files under one folder, with `remote` behind it or none."""

    def __init__(self, root: Path, limits: MediaLimits | None = None, remote: Remote | None = None) -> None:
        self.root = root
        self._limits = limits or MediaLimits()
        self._remote = remote

    def _place(self, media_id: str, extension: str) -> Path:
        return self.root / "sha256" / media_id[:2] / media_id[2:4] / f"{media_id}.{extension}"

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root.parent).as_posix()

    def _here(self, media_id: str) -> list[Path]:
        return sorted((self.root / "sha256" / media_id[:2] / media_id[2:4]).glob(f"{media_id}.*"))

    def _there(self, media_id: str) -> list[str]:
        return self._remote.names(self._name(self._place(media_id, ""))) if self._remote else []

    def put(self, data: bytes) -> MediaInfo:
        """Probe and store; the same bytes are stored once. Raises MediaError, DiskFullError or BackendError."""
        info = probe(data, self._limits)
        target = self._place(info.media_id, info.extension)
        if not target.exists():
            self._write(target, data)
        if self._remote and not self._there(info.media_id):
            self._remote.write(self._name(target), target)
        return info

    def _write(self, target: Path, data: bytes) -> None:
        temporary = ""
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".part-")
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except OSError as error:
            if temporary:
                Path(temporary).unlink(missing_ok=True)
            if error.errno == _NO_SPACE:
                raise DiskFullError("no room left for media", where=str(target), hint="free some space") from error
            raise

    def path(self, media_id: str) -> Path:
        """Where the bytes lie on this machine, brought here first if need be; raises NotFoundError."""
        for path in self._here(media_id):
            return path
        for name in self._there(media_id):
            assert self._remote is not None
            return self._remote.fetch(name, self.root.parent / name)
        raise NotFoundError(f"no media {media_id}", where=str(self.root))

    def uri(self, info: MediaInfo) -> str:
        """Path relative to the warehouse, as stored in the media table."""
        return self._name(self._place(info.media_id, info.extension))

    def exists(self, media_id: str) -> bool:
        """True where the bytes are stored."""
        return bool(self._here(media_id) or self._there(media_id))

    def absent(self, uris: Iterable[str]) -> list[str]:
        """Those of the uris whose bytes are not stored, in order; object storage is listed once."""
        if self._remote is None:
            return sorted(uri for uri in uris if not (self.root.parent / uri).is_file())
        return sorted(set(uris) - set(self._remote.names(f"{self.root.name}/")))

    def get(self, media_id: str) -> bytes:
        """The stored bytes; raises NotFoundError."""
        return self.path(media_id).read_bytes()

    def remove(self, media_id: str) -> None:
        """Delete the bytes everywhere; nothing happens where there are none."""
        for name in self._there(media_id):
            assert self._remote is not None
            self._remote.remove(name)
        for path in self._here(media_id):
            path.unlink(missing_ok=True)
