"""Real servers for tests: PostgreSQL from Debian's package, and S3 by moto, each on a free port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MakeUrl = Callable[[], str]
_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
NO_POSTGRES = "PostgreSQL is not installed: apt-get install -y postgresql"


def skip_or_fail(reason: str) -> None:
    """A missing service is a failure in CI and a skipped test elsewhere."""
    pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_postgres(command: list[str], folder: Path) -> None:
    # The server refuses to run as root.
    prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    done = subprocess.run([*prefix, *command], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr


@contextmanager
def postgres() -> Iterator[str]:
    """URL of a server without a database: postgresql://rewarddance@127.0.0.1:PORT."""
    if not _BINARIES:
        skip_or_fail(NO_POSTGRES)
    # Not under pytest's own folder, which the server's user may not enter.
    folder, port = Path(tempfile.mkdtemp(prefix="rewarddance-postgres-")), free_port()
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    binary, data = str(_BINARIES[-1]), str(folder / "data")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200"
    try:
        _as_postgres(
            [f"{binary}/initdb", "-D", data, "-A", "trust", "-U", "rewarddance", "-E", "UTF8", "--no-sync"], folder
        )
        _as_postgres([f"{binary}/pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start"], folder)
        try:
            yield f"postgresql://rewarddance@127.0.0.1:{port}"
        finally:
            _as_postgres([f"{binary}/pg_ctl", "-D", data, "-m", "immediate", "stop"], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_database(server: str, name: str) -> str:
    """URL of a new database on a server of `postgres`."""
    subprocess.run([f"{_BINARIES[-1]}/createdb", "--maintenance-db", f"{server}/postgres", name], check=True)
    return f"{server}/{name}"


@contextmanager
def s3() -> Iterator[str]:
    """Endpoint of an S3 with the bucket `lake`."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _await(endpoint, server)
        request = urllib.request.Request(f"{endpoint}/lake", method="PUT")
        request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request")
        urllib.request.urlopen(request, timeout=30).close()
        yield endpoint
    finally:
        server.kill()
        server.wait()


def _await(endpoint: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    pytest.fail("the S3 stand-in did not start")
