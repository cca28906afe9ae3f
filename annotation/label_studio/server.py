"""Label Studio as a process of ours: started headless on a free loopback port, watched until it answers, stopped.

What bites: it binds 0.0.0.0 unless told otherwise, silently takes the next port where one is busy, and applies the
owner's token and the legacy-token switch only when owner and organisation are created. So the first start is on an
empty migrated database, and after each start the server is asked who its token's owner is.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from annotation.label_studio import environment
from annotation.label_studio.client import StudioClient
from annotation.label_studio.state import Server, save
from warehouse.errors import BackendError, ConfigError, RewardDanceError

# A first start on PostgreSQL makes all tables, which takes minutes on a busy machine.
_START_S = 1200.0
_STOP_S = 15.0
# Its own settings open a database connection for each request, of which PostgreSQL spends 25 ms of 32 for an answer.
# Two steps, since its second file already reads settings from this one.
_SETTINGS = """from importlib import import_module

for name in ("base", "label_studio"):
    theirs = vars(import_module(f"label_studio.core.settings.{name}"))
    globals().update({key: value for key, value in theirs.items() if key.isupper()})
DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
"""


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def alive(pid: int) -> bool:
    """True where a process of ours has this number: after a restart of the machine it may be somebody else's."""
    if not pid:
        return False
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    command = Path(f"/proc/{pid}/cmdline")
    ours = (b"label-studio", b"annotation.gateway")
    return not command.exists() or any(word in command.read_bytes() for word in ours)


def start(place: Path, known: Server | None, database: str = "") -> Server:
    """Start Label Studio for the folder `place` and wait until it answers; what it needs to know is stored first.

    `known` keeps owner, token and raters of earlier starts. `database` is a PostgreSQL URL, "" for SQLite in `place`.
    Raises BackendError where it does not answer; the message says which log to read.
    """
    port = free_port()
    server = Server(url=f"http://127.0.0.1:{port}", token=known.token if known else secrets.token_hex(20),
                    email=known.email if known else "owner@rewarddance.local",
                    password=known.password if known else secrets.token_urlsafe(24),
                    raters=known.raters if known else [], database=database or (known.database if known else ""),
                    gateway_url=known.gateway_url if known else "", media_url=known.media_url if known else "",
                    bell=known.bell if known else True)
    data = place / "label-studio"
    data.mkdir(mode=0o700, exist_ok=True)
    if not server.database and not (data / "label_studio.sqlite3").exists():
        # Only the database: the secret key beside it is made anew for every folder.
        shutil.copy(environment.empty_database() / "label_studio.sqlite3", data)
    process = _launch(place / "label-studio.log", data, server, port)
    server.pid = process.pid
    save(place, server)
    try:
        _wait(process, server, place / "label-studio.log")
    except BaseException:
        stop(process.pid)
        raise
    return server


def _launch(log: Path, data: Path, server: Server, port: int) -> subprocess.Popen[bytes]:
    (data / "rewarddance_settings.py").write_text(_SETTINGS, "utf-8")
    variables = environment.clean_environment(data) | _postgres(server.database) | {
        "DJANGO_SETTINGS_MODULE": "rewarddance_settings",
        "PYTHONPATH": str(data),
        "LABEL_STUDIO_USERNAME": server.email,
        "LABEL_STUDIO_PASSWORD": server.password,
        "LABEL_STUDIO_USER_TOKEN": server.token,
        # Webhooks go to our gateway on loopback; the rest of the private ranges stays closed.
        "LABEL_STUDIO_USE_DEFAULT_BANNED_SUBNETS": "false",
        "LABEL_STUDIO_USER_ADDITIONAL_BANNED_SUBNETS": "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16",
    }
    command = [str(environment.python().parent / "label-studio"), "start", "--no-browser", "--internal-host",
               "127.0.0.1", "--port", str(port), "--host", "", "--enable-legacy-api-token", "--log-level", "WARNING"]
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "ab") as output:
        return subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT, start_new_session=True, cwd=data)


def _postgres(url: str) -> dict[str, str]:
    """Label Studio's variables of a postgresql:// URL; ConfigError where it is none."""
    if not url:
        return {"DJANGO_DB": "sqlite"}
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        raise ConfigError("the database is not postgresql://user:password@host:port/name",
                          hint="leave --database away for SQLite")
    return {
        "DJANGO_DB": "default",
        "POSTGRE_NAME": parts.path.strip("/"),
        "POSTGRE_USER": unquote(parts.username or ""),
        "POSTGRE_PASSWORD": unquote(parts.password or ""),
        "POSTGRE_HOST": parts.hostname or "",
        "POSTGRE_PORT": str(parts.port or 5432),
    }


def _wait(process: subprocess.Popen[bytes], server: Server, log: Path) -> None:
    """Until the server knows our token; another server on the port, or a dead process, is an error."""
    client, deadline = StudioClient(server.url, server.token, timeout_s=10.0), time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BackendError(f"Label Studio stopped with {process.returncode}: {_tail(log)}", where=str(log),
                               hint="the log says why")
        try:
            if client.send("GET", "/api/current-user/whoami")["email"] == server.email:
                client.close()
                return
        except ConfigError as error:
            raise BackendError("Label Studio does not know its own token", where=str(log),
                               hint="its database was made by another start: use a new warehouse folder") from error
        except RewardDanceError:
            time.sleep(0.2)
    raise BackendError(f"Label Studio did not answer in {_START_S:.0f} s", where=str(log), hint="the log says why")


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace").strip()[-300:]


def stop(pid: int) -> bool:
    """End a process group that `start` made: asked first, then killed; False where there was none."""
    if not alive(pid):
        return False
    for sign, seconds in ((signal.SIGTERM, _STOP_S), (signal.SIGKILL, _STOP_S)):
        try:
            os.killpg(pid, sign)
        except ProcessLookupError:
            return True
        deadline = time.monotonic() + seconds
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
    return True
