"""`annotate up | down | status`: Label Studio and the gateway before it, together.

`up` may be repeated: what runs is left running, new raters of the list get accounts and links, and a gateway is started
anew only where it is down or its raters changed. The first time, whoever gives no list gets a link too. `down` stops
both and keeps everything they know.
"""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from filelock import FileLock

from annotation.gateway.listening import bound
from annotation.gateway.shelf import Shelf
from annotation.label_studio import environment, raters, state, webhooks
from annotation.label_studio.client import StudioClient
from annotation.label_studio.server import alive, free_port, start, stop
from annotation.label_studio.state import Server
from warehouse import open_warehouse
from warehouse.errors import BackendError, ConfigError
from warehouse.place import find_place

_GATEWAY_S = 60.0


@dataclass(frozen=True)
class Wishes:
    """Options of `up`: rater names, PostgreSQL URL ("" for SQLite), where the gateway listens, how the world calls it.

    `listen` is HOST:PORT, port 0 for a free one; `public_url` stands in the links where a proxy is in front; `media`
    (s3://BUCKET/PREFIX) is where media are presigned, "" to serve them by the gateway or as before; without `bell` the
    gateway leaves syncs to others.
    """

    names: Sequence[str] = ()
    database: str = ""
    listen: str = "127.0.0.1:0"
    public_url: str = ""
    media: str = ""
    bell: bool = True


def up(warehouse: str, wishes: Wishes, agree: Callable[[str], bool], warn: Callable[[str], None]) -> dict[str, Any]:
    """Start what is not running, make missing accounts; the same document as `status`, with every rater's link."""
    place = state.folder(find_place(warehouse).root)
    with FileLock(place / "up.lock", timeout=600.0):
        server, started = _studio(place, wishes.database, agree)
        _advise(server, wishes, warn)
        made = raters.add(server, wishes.names or ([] if server.raters else [_me()]))
        moved = (bool(wishes.media) and wishes.media != server.media_url) or wishes.bell != server.bell
        server.bell = wishes.bell
        server.media_url = Shelf(wishes.media, b"").url if wishes.media else server.media_url
        state.save(place, server)
        if made or moved or not alive(server.gateway_pid) or not _answers(server.gateway_url):
            _gateway(warehouse, place, server, wishes.listen)
            started = True
        if server.bell:
            _webhooks(warehouse, place, server, warn)
    links = {rater.name: f"{wishes.public_url or server.gateway_url}/in/{rater.link}" for rater in server.raters}
    return status(warehouse) | {"changed": started or bool(made), "links": links}


def down(warehouse: str) -> dict[str, Any]:
    """Stop gateway and server; `changed` is False where neither ran."""
    place = state.folder(find_place(warehouse).root)
    server = state.load(place)
    if server is None:
        return {"changed": False, "running": False}
    with FileLock(place / "up.lock", timeout=600.0):
        stopped = [stop(server.gateway_pid), stop(server.pid)]
        state.save(place, server.model_copy(update={"pid": 0, "gateway_pid": 0}))
    return {"changed": any(stopped), "running": False}


def status(warehouse: str) -> dict[str, Any]:
    """What runs: `running` where both answer; secrets and links stay out."""
    place = state.folder(find_place(warehouse).root)
    server = state.external() or state.load(place)
    known = state.load(place)
    document: dict[str, Any] = {
        "running": False, "studio": None, "studio_answers": False, "gateway": None, "gateway_answers": False,
        "raters": len(known.raters) if known else 0, "database": "", "version": "", "log": str(place),
    }
    if server is None:
        return document
    document |= {"studio": server.url, "database": "postgresql" if server.database else "sqlite"}
    try:
        client = StudioClient(server.url, server.token, timeout_s=10.0)
        document |= {"version": client.send("GET", "/api/version")["release"], "studio_answers": True}
    except BackendError:
        pass
    if known is not None and known.gateway_url:
        document |= {"gateway": known.gateway_url, "gateway_answers": _answers(known.gateway_url)}
    return document | {"running": bool(document["studio_answers"] and document["gateway_answers"])}


def _me() -> str:
    """Who sits here, as a rater's name: whoever starts without a list wants to look at the page."""
    return re.sub(r"[^a-z0-9._-]", "", getpass.getuser().lower()) or "me"


def _studio(place: Path, database: str, agree: Callable[[str], bool]) -> tuple[Server, bool]:
    """The environment's server, the one that runs, or a new one; and whether it was started now."""
    known, outside = state.load(place), state.external()
    if outside is not None:
        StudioClient(outside.url, outside.token).get("/api/current-user/whoami")
        same = known is not None and known.url == outside.url
        kept = {"raters": known.raters if known and same else [], "gateway_pid": known.gateway_pid if known else 0,
                "gateway_url": known.gateway_url if known else "", "media_url": known.media_url if known else "",
                "bell": known.bell if known else True}
        return outside.model_copy(update=kept), False
    if known is not None and known.database and database and known.database != database:
        raise ConfigError("this warehouse's Label Studio has another database", where=str(place / "server.json"))
    if known is not None and alive(known.pid) and _answers(known.url):
        return known, False
    environment.ensure(agree)
    if known is not None:
        stop(known.pid)
        stop(known.gateway_pid)
    return start(place, known, database), True


def _advise(server: Server, wishes: Wishes, warn: Callable[[str], None]) -> None:
    people = len({rater.name for rater in server.raters} | set(wishes.names))
    if people > raters.SQLITE_RATERS and not server.database and server.pid:
        warn(f"{people} raters on SQLite: above {raters.SQLITE_RATERS} answers get slow and may be refused as locked; "
             "give --database postgresql://user:password@host/name")


def _answers(url: str) -> bool:
    """True where something answers HTTP there."""
    try:
        return bool(url) and httpx.get(url, timeout=10.0).status_code < 500
    except httpx.HTTPError:
        return False


def _gateway(warehouse: str, place: Path, server: Server, listen: str) -> None:
    """Start the gateway, on its last port where that is free, and wait until it answers."""
    stop(server.gateway_pid)
    host, _, asked = listen.rpartition(":")
    if not host or not asked.isdecimal():
        raise ConfigError(f"--listen is HOST:PORT, got {listen!r}")
    last = server.gateway_url.rpartition(":")[2]
    for port in [int(asked)] if int(asked) else [*([int(last)] if last else []), free_port()]:
        try:
            # Whoever listens there already would answer in the gateway's place.
            bound(host, port).close()
        except ConfigError:
            if port == int(asked):
                raise
            continue
        process = _launch(warehouse, place, host, port)
        server.gateway_url, server.gateway_pid = f"http://{host}:{port}", process.pid
        state.save(place, server)
        deadline = time.monotonic() + _GATEWAY_S
        while process.poll() is None and time.monotonic() < deadline:
            if _answers(server.gateway_url):
                return
            time.sleep(0.1)
    raise BackendError("the gateway does not start", where=str(place / "gateway.log"), hint="the log says why")


def _launch(warehouse: str, place: Path, host: str, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "annotation.gateway", find_place(warehouse).url, str(port), host]
    handle = os.open(place / "gateway.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _webhooks(warehouse: str, place: Path, server: Server, warn: Callable[[str], None]) -> None:
    with open_warehouse(warehouse) as opened:
        projects = webhooks.projects_of(opened)
    client = StudioClient(server.url, server.token)
    if refused := webhooks.register(client, place, server.gateway_url, projects):
        warn(f"Label Studio takes no webhook, so what its owner changes comes by `annotate sync` only: {refused}")
