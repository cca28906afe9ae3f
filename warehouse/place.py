"""Where a warehouse lies: one URL says where its catalog is, where its bytes are, and which folder is this machine's.

A folder holds everything. `postgresql://user@host/db?data=FOLDER` moves the catalog to a server; with
`data=s3://bucket/prefix` the bytes lie in object storage too, and a folder under $REWARDDANCE_CACHE (default
~/.cache/rewarddance) keeps locks, models and copies of what this machine has read. Credentials come from the
environment (PGPASSWORD, AWS_*), never from here.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from warehouse.errors import ConfigError
from warehouse.hashing import content_id

_EXAMPLE = "postgresql://user@host/db?data=s3://bucket/prefix, or a folder"


def hide_password(text: str) -> str:
    """The text with *** for the password of every URL in it."""
    return re.sub(r"(//[^/:@\s]*):[^/@\s]*@", r"\1:***@", text)


@dataclass(frozen=True)
class Place:
    """`server` is PostgreSQL's own URL, "" for the embedded catalog; `remote` is "" where all bytes lie in `root`."""

    url: str
    root: Path
    server: str = ""
    remote: str = ""

    @property
    def data(self) -> str:
        """Where DuckLake keeps its Parquet files."""
        return f"{self.remote}/data" if self.remote else str(self.root / "data")

    @property
    def shown(self) -> str:
        """The URL without a password, for messages."""
        return hide_password(self.url)


def find_place(url: str) -> Place:
    """Read a warehouse URL; raises ConfigError where it is none."""
    if "://" not in url:
        root = Path(url).resolve()
        return Place(str(root), root)
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    data = options.pop("data", "")
    if parts.scheme not in ("postgresql", "postgres") or not data or not parts.path.strip("/"):
        raise ConfigError(f"not a warehouse: {hide_password(url)!r}", hint=f"expected {_EXAMPLE}")
    server = urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(options), ""))
    if "://" not in data:
        return Place(url, Path(data).resolve(), server)
    if not data.startswith("s3://"):
        raise ConfigError(f"data must be a folder or s3://bucket/prefix, got {data!r}", hint=f"expected {_EXAMPLE}")
    cache = Path(os.environ.get("REWARDDANCE_CACHE", "~/.cache/rewarddance")).expanduser()
    return Place(
        url, cache / content_id("place", parts.hostname, parts.port, parts.path, data), server, data.rstrip("/")
    )
