"""A DuckDB connection to a place's lake, and the lock that puts commits of all processes one after the other.

The extensions come as wheels and are loaded from site-packages: nothing is downloaded at run time. With the embedded
catalog the lock is a file's; with PostgreSQL it is an advisory lock held by a transaction of its own, so it holds
between machines, and the server frees it when its holder is killed.
"""

from __future__ import annotations

import importlib.util
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
from filelock import FileLock, Timeout

from warehouse.errors import BackendError, ConfigError
from warehouse.hashing import content_id, literal
from warehouse.place import Place, hide_password

_LOCK_TIMEOUT_S = 300.0
_LOCK_KEY = 0x5D1A
# What a query needs beyond this goes to a file; ten million votes must fit beside Python.
_MOST_BYTES = 5 * 2**30


def _extension(extension: str) -> Path:
    """The file of a DuckDB extension in its wheel; raises ConfigError where it is not installed."""
    spec = importlib.util.find_spec(f"duckdb_extension_{extension}")
    if spec is None or spec.origin is None:
        raise ConfigError(
            f"the wheel duckdb-extension-{extension.replace('_', '-')} is not installed", hint="make setup"
        )
    return Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}" / f"{extension}.duckdb_extension"


def _with(extensions: Sequence[str], **options: str | int) -> duckdb.DuckDBPyConnection:
    """A connection with these extensions."""
    # An extension is a library of a wheel, as DuckDB itself is, whose hash pip looked at when it installed it. DuckDB
    # would hash 34 MB of each again in every process, for half a second of processor time.
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true", **options})
    for name in extensions:
        connection.execute(f"LOAD {literal(str(_extension(name)))}")
    return connection


def _allow_s3(connection: duckdb.DuckDBPyConnection) -> None:
    """What the AWS tools read from the environment, for DuckDB."""
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", ""))
    options = {
        "KEY_ID": os.environ.get("AWS_ACCESS_KEY_ID", ""),
        "SECRET": os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
        "SESSION_TOKEN": os.environ.get("AWS_SESSION_TOKEN", ""),
        "REGION": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "us-east-1"),
    }
    if endpoint.netloc:
        options |= {"ENDPOINT": endpoint.netloc, "URL_STYLE": "path"}
        options["USE_SSL"] = "true" if endpoint.scheme == "https" else "false"
    listed = ", ".join(f"{name} {literal(value)}" for name, value in options.items() if value)
    connection.execute(f"CREATE SECRET (TYPE s3, {listed})")


def _unreachable(place: Place, error: duckdb.Error) -> BackendError:
    # The server's own words hold the URL with its password.
    return BackendError(
        f"the catalog cannot be reached: {hide_password(str(error))}",
        where=place.shown,
        hint="is the server up, and may this user create tables in the database?",
    )


def _threads() -> int:
    """All cores, or as many as $REWARDDANCE_THREADS says; a query of a few rows costs least on one."""
    told = os.environ.get("REWARDDANCE_THREADS", "")
    if told and not (told.isdecimal() and int(told)):
        raise ConfigError(f"REWARDDANCE_THREADS is a number of threads, got {told!r}", hint="unset it for all cores")
    return int(told) if told else os.cpu_count() or 1


def connect(place: Place, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection with the lake attached as `lake` and in use; raises BackendError where the server is not there."""
    memory = min(_MOST_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 6 // 10)
    catalog_extension = "postgres_scanner" if place.server else "sqlite_scanner"
    connection = _with(
        ["ducklake", catalog_extension, *(["httpfs"] if place.remote else [])],
        threads=_threads(),
        memory_limit=f"{memory // 2**20}MiB",
        temp_directory=str(place.root / "tmp"),
    )
    # Under `python -c` DuckDB would draw on stdout, where a job's messages go.
    connection.execute("SET enable_progress_bar = false")
    if place.remote:
        _allow_s3(connection)
    catalog = f"postgres:{place.server}" if place.server else f"sqlite:{place.root / 'catalog.sqlite'}"
    options = [f"DATA_PATH {literal(place.data)}", "OVERRIDE_DATA_PATH true"]
    if not place.server:
        options += ["META_BUSY_TIMEOUT 30000", *([] if read_only else ["META_JOURNAL_MODE 'WAL'"])]
    if read_only:
        options.append("READ_ONLY")
    try:
        connection.execute(f"ATTACH {literal('ducklake:' + catalog)} AS lake ({', '.join(options)})")
    except duckdb.Error as error:
        connection.close()
        if not place.server:
            raise
        raise _unreachable(place, error) from None
    connection.execute("USE lake")
    return connection


def shred(place: Place) -> None:
    """Write the catalog anew: until then its free pages still hold rows that were deleted."""
    if not place.server:
        connection = sqlite3.connect(place.root / "catalog.sqlite", timeout=30)
        try:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
        return
    with _with(["postgres_scanner"], threads=1) as server:
        server.execute(f"ATTACH {literal(place.server)} AS catalog (TYPE postgres)")
        server.execute("CALL postgres_execute('catalog', 'VACUUM FULL', use_transaction => false)")


class _ServerLock:
    """PostgreSQL's advisory lock `key`; `with` waits for it, at most `timeout_s` seconds where that is not 0."""

    def __init__(self, place: Place, key: int, timeout_s: float) -> None:
        self._key, self._timeout_s = key, timeout_s
        self._connection = _with(["postgres_scanner"], threads=1)
        try:
            self._connection.execute(f"ATTACH {literal(place.server)} AS locks (TYPE postgres)")
        except duckdb.Error as error:
            raise _unreachable(place, error) from None

    def _ask(self, sql: str) -> None:
        self._connection.execute(f"SELECT * FROM postgres_query('locks', {literal(sql)})").fetchall()

    def __enter__(self) -> None:
        self._connection.execute("BEGIN")
        try:
            self._ask(f"SELECT set_config('lock_timeout', '{int(self._timeout_s)}s', true)")
            self._ask(f"SELECT pg_advisory_xact_lock({self._key})::text")
        except duckdb.Error as error:
            self._connection.execute("ROLLBACK")
            raise BackendError(f"no turn to write within {self._timeout_s:.0f} s: {error}") from error

    def __exit__(self, *_: object) -> None:
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


class _FolderLock:
    """A file's lock; a limit of 0 is none."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._timeout_s = timeout_s
        self._lock = FileLock(path, timeout=timeout_s or -1)

    def __enter__(self) -> None:
        try:
            self._lock.acquire()
        except Timeout as error:
            raise BackendError(
                f"no turn to write within {self._timeout_s:.0f} s", where=str(self._lock.lock_file)
            ) from error

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def close(self) -> None:
        self._lock.release(force=True)


CommitLock = _ServerLock | _FolderLock


def commit_lock(place: Place) -> CommitLock:
    """The lock of a place: reusable, of one thread; raises BackendError after five minutes of waiting."""
    if place.server:
        return _ServerLock(place, _LOCK_KEY, _LOCK_TIMEOUT_S)
    return _FolderLock(place.root / "commit.lock", _LOCK_TIMEOUT_S)


@contextmanager
def one_build(place: Place, dataset: str) -> Iterator[None]:
    """One build of a dataset at a time, on all machines; the lock of a killed one is free."""
    folder = place.root / "datasets" / dataset
    key = int(content_id("build", dataset)[:12], 16)
    lock = _ServerLock(place, key, 0) if place.server else _FolderLock(folder / ".build.lock", 0)
    try:
        with lock:
            yield
    finally:
        lock.close()
