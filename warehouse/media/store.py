"""A content-addressed store of media bytes: media/sha256/ab/cd/<sha256>.<ext>.

Bytes are probed first, written under a temporary name, synced, then renamed: what has its name is whole.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from warehouse.errors import DiskFullError, NotFoundError
from warehouse.media.probe import MediaInfo, MediaLimits, probe

_NO_SPACE = 28


class MediaStore:
    """Media files under one folder."""

    def __init__(self, root: Path, limits: MediaLimits | None = None) -> None:
        self.root = root
        self._limits = limits or MediaLimits()

    def _place(self, media_id: str, extension: str) -> Path:
        return self.root / "sha256" / media_id[:2] / media_id[2:4] / f"{media_id}.{extension}"

    def put(self, data: bytes) -> MediaInfo:
        """Probe and store; the same bytes are stored once. Raises MediaError or DiskFullError."""
        info = probe(data, self._limits)
        target = self._place(info.media_id, info.extension)
        if target.exists():
            return info
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
        return info

    def path(self, media_id: str) -> Path:
        """Where the bytes lie; raises NotFoundError."""
        found = sorted((self.root / "sha256" / media_id[:2] / media_id[2:4]).glob(f"{media_id}.*"))
        if not found:
            raise NotFoundError(f"no media {media_id}", where=str(self.root))
        return found[0]

    def uri(self, info: MediaInfo) -> str:
        """Path relative to the warehouse, as stored in the media table."""
        return self._place(info.media_id, info.extension).relative_to(self.root.parent).as_posix()

    def exists(self, media_id: str) -> bool:
        """True where the bytes are here."""
        return bool(list((self.root / "sha256" / media_id[:2] / media_id[2:4]).glob(f"{media_id}.*")))

    def get(self, media_id: str) -> bytes:
        """The stored bytes; raises NotFoundError."""
        return self.path(media_id).read_bytes()
