"""What `annotate up` leaves for the other commands: addresses, secrets and raters, in files only their owner can read.

The folder is `<warehouse>/annotation`. Environment variables LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY name a server
that somebody else runs and come before what is stored.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from annotation.label_studio.client import StudioClient
from warehouse.errors import ConfigError

URL, KEY = "LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"


class Rater(BaseModel):
    """A person with an account: `link` is the secret part of their personal address.

    `cookies` and `user` are what the sign-up left: with them a rater's first request needs no login, whose password
    hash costs the server a quarter of a second.
    """

    name: str
    email: str
    password: str
    link: str
    cookies: dict[str, str] = {}
    user: dict[str, Any] = {}


class Server(BaseModel):
    """A running (or stopped: `pid` 0) Label Studio and the gateway before it; media are presigned at `media_url`.

    With `bell` the gateway syncs as soon as somebody answered, else only a command or a schedule does.
    """

    url: str
    token: str
    email: str = ""
    password: str = ""
    pid: int = 0
    database: str = ""
    gateway_url: str = ""
    gateway_pid: int = 0
    media_url: str = ""
    bell: bool = True
    raters: list[Rater] = []


def folder(warehouse_root: Path) -> Path:
    """Where everything about annotation lies; made with mode 0700."""
    place = warehouse_root / "annotation"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def load(place: Path) -> Server | None:
    """The stored server, None where there is none."""
    path = place / "server.json"
    return Server.model_validate_json(path.read_text("utf-8")) if path.exists() else None


def save(place: Path, server: Server) -> None:
    """Write atomically with mode 0600 (that is mkstemp's own)."""
    handle, temporary = tempfile.mkstemp(dir=place, prefix=".server-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(server.model_dump(), file, indent=1)
    os.replace(temporary, place / "server.json")


def external() -> Server | None:
    """The server that the environment names; ConfigError where only half of it is there."""
    url, token = os.environ.get(URL, ""), os.environ.get(KEY, "")
    if bool(url) != bool(token):
        raise ConfigError(f"{URL} and {KEY} go together, only one is set")
    return Server(url=url.rstrip("/"), token=token) if url else None


def connect(place: Path) -> StudioClient:
    """A client of the environment's server, else of the stored one; ConfigError where there is neither."""
    server = external() or load(place)
    if server is None:
        hint = f"rewarddance annotate up starts one; {URL} and {KEY} name one that runs elsewhere"
        raise ConfigError("there is no Label Studio for this warehouse", where=str(place), hint=hint)
    return StudioClient(server.url, server.token)
