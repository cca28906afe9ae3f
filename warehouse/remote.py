"""Files in object storage behind a local folder: what is written goes to both, what is read is kept.

Names are POSIX paths below the prefix, the same as below the folder. An object appears whole or not at all. Where a
connection drops, reading goes on with the part that it broke in. Left out on purpose: emptying the local folder (it is
a cache, and may be deleted), credentials (the environment's, as for every AWS tool).
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.errors import BackendError, NotFoundError

_TRIES, _PAUSE_S = 6, 0.2
_PART = 8 * 1024 * 1024
_NOTE = "remote.url"


@dataclass(frozen=True)
class Stored:
    """What a listing says of an object; `written_s` in seconds since 1970."""

    size_bytes: int
    written_s: float


def _stored(about: dict[str, Any]) -> Stored:
    return Stored(int(about["size"]), about["LastModified"].timestamp())


class Remote:
    """Objects under `url` (s3://bucket/prefix); picklable, and usable after a fork."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._fs: Any = None
        self._process = 0

    def __getstate__(self) -> dict[str, str]:
        return {"url": self.url}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.__init__(state["url"])  # type: ignore[misc]

    def _files(self) -> Any:
        # An fsspec instance belongs to the process that made it.
        if self._process != os.getpid():
            import fsspec  # type: ignore[import-untyped]

            self._fs = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
            self._process = os.getpid()
        return self._fs

    def read(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        """Bytes [offset, offset + size) of an object, fewer past its end; raises NotFoundError, BackendError."""
        end = None if size is None else offset + size
        return bytes(self._again(name, lambda: self._files().cat_file(f"{self.url}/{name}", start=offset, end=end)))

    def _again(self, name: str, call: Any) -> Any:
        """The call's result; connections that drop are tried again, a little later each time."""
        for attempt in range(_TRIES):
            try:
                return call()
            except FileNotFoundError as error:
                raise NotFoundError(f"no object {name}", where=self.url) from error
            except (OSError, TimeoutError) as error:
                last = error
                time.sleep(_PAUSE_S * 2**attempt)
        raise BackendError(f"object storage does not answer: {last}", where=f"{self.url}/{name}") from last

    def listing(self, prefix: str) -> dict[str, Stored]:
        """All objects that begin with `prefix`, by name in order."""
        folder, _, start = prefix.rpartition("/")
        base = f"{self.url}/{folder}"
        try:
            found = self._again(prefix, lambda: self._files().find(base, prefix=start, detail=True))
        except NotFoundError:
            return {}
        cut = len(self.url.removeprefix("s3://")) + 1
        return {path[cut:]: _stored(about) for path, about in sorted(found.items())}

    def names(self, prefix: str) -> list[str]:
        """Names of all objects that begin with `prefix`."""
        return list(self.listing(prefix))

    def write(self, name: str, path: Path) -> None:
        """Store a local file."""
        self._again(name, lambda: self._files().put_file(str(path), f"{self.url}/{name}"))

    def remove(self, name: str) -> None:
        """Delete an object if it is there."""
        try:
            self._again(name, lambda: self._files().rm_file(f"{self.url}/{name}"))
        except NotFoundError:
            return

    def refresh(self, name: str, target: Path) -> Path:
        """The local copy of an object that may have changed since it was made."""
        about = _stored(self._again(name, lambda: self._files().info(f"{self.url}/{name}")))
        if target.is_file() and (target.stat().st_size, target.stat().st_mtime) != (about.size_bytes, about.written_s):
            target.unlink(missing_ok=True)
        self.fetch(name, target)
        os.utime(target, (about.written_s, about.written_s))
        return target

    def fetch(self, name: str, target: Path) -> Path:
        """A local copy of an object that never changes, in parts, whole or not at all."""
        if target.is_file():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        # Threads of one process may bring the same object at once.
        part = target.with_name(f".part-{os.getpid()}-{threading.get_ident()}-{target.name}")
        try:
            with part.open("wb") as file:
                size = int(self._again(name, lambda: self._files().info(f"{self.url}/{name}"))["size"])
                while file.tell() < size:
                    file.write(self.read(name, file.tell(), min(_PART, size - file.tell())))
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
        return target


def remember(root: Path, remote: str) -> None:
    """Note in a warehouse's local folder where its objects lie, for readers that are given the folder alone."""
    (root / _NOTE).write_text(remote, encoding="utf-8")


def remote_of(root: Path) -> Remote | None:
    """The object storage behind a local folder, None where all bytes lie in it."""
    note = root / _NOTE
    return Remote(note.read_text(encoding="utf-8")) if note.is_file() else None
