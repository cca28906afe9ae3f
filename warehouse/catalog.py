"""The catalog: DuckLake tables behind MERGE, transactions under a lock, and reads.

One URL chooses where it lies (place.py); what it does is the same everywhere. Commits of all processes go one after the
other; a kill between commit and acknowledgement leaves whole commits that nobody acknowledged, so every write is
idempotent. The catalog remembers where its data lay; a folder that was moved or copied is opened where it lies now.

Left out on purpose: what rows mean (records.py), media bytes (media/), dataset versions (datasets/).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from warehouse import migrate, remote
from warehouse.errors import ConfigError, DiskFullError, InvalidInputError, NotFoundError, RewardDanceError
from warehouse.hashing import canonical_json
from warehouse.lake import commit_lock, connect
from warehouse.media.store import MediaStore
from warehouse.place import Place, find_place
from warehouse.scratch import Scratch, scratch
from warehouse.tables import KEYS, MUTABLE, VOLATILE_COLUMNS

_NO_ROOM = re.compile(r"no space left|disk (is )?full|could not write", re.IGNORECASE)


class Warehouse:
    """One open warehouse. Several processes may open the same one; one object belongs to one thread.

    `root` is this machine's folder of it. `remote` is the object storage behind that folder, None where there is none.
    """

    def __init__(self, place: Place) -> None:
        self.place, self.url, self.root = place, place.url, place.root
        self.root.mkdir(parents=True, exist_ok=True)
        if place.remote:
            remote.remember(self.root, place.remote)
        self.remote = remote.remote_of(self.root)
        self.media = MediaStore(self.root / "media", remote=self.remote)
        self._depth = 0
        self._lock = commit_lock(place)
        with self._lock:
            self._connection = connect(place)
            migrate.apply(self._connection, where=place.shown)
        self._columns = self._read_columns()

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the connections; the object cannot be used after."""
        self._connection.close()
        self._lock.close()

    def _read_columns(self) -> dict[str, dict[str, str]]:
        columns: dict[str, dict[str, str]] = {}
        query = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = 'lake'"
        for table, column, kind in self._connection.execute(query).fetchall():
            columns.setdefault(table, {})[column] = kind
        return columns

    def table(self, sql: str, params: Sequence[Any] = ()) -> pa.Table:
        """Result of a query as an Arrow table, at the latest snapshot."""
        return self._connection.execute(sql, list(params)).to_arrow_table()

    def rows(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        """Result of a query as dictionaries; for results that fit in memory comfortably."""
        cursor = self._connection.execute(sql, dict(params) if isinstance(params, Mapping) else list(params))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def pages(self, sql: str, rows: int) -> Iterator[pa.RecordBatch]:
        """Result of a query that does not fit in memory, at most `rows` at a time, on a connection of its own."""
        cursor = self._connection.cursor()
        try:
            cursor.execute("USE lake")
            yield from cursor.execute(sql).to_arrow_reader(rows)
        finally:
            cursor.close()

    def scratch(self) -> AbstractContextManager[Scratch]:
        """Temporary tables beside the lake's, until the block ends."""
        return scratch(self._connection)

    def snapshot(self) -> int:
        """DuckLake's catalog-wide snapshot id; moves with every commit and stays out of every content id."""
        return int(self._connection.execute("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')").fetchall()[0][0])

    @contextmanager
    def commit(self, message: str = "") -> Iterator[None]:
        """Several writes as one transaction under the lock; all of them or none. Nesting joins the outer one."""
        if self._depth:
            yield
            return
        with self._lock:
            self._depth = 1
            self._connection.execute("BEGIN")
            try:
                yield
                if message:
                    self._connection.execute("CALL ducklake_set_commit_message('lake', 'rewarddance', ?)", [message])
                self._connection.execute("COMMIT")
            except BaseException as error:
                self._rollback()
                if isinstance(error, (duckdb.Error, OSError)) and _NO_ROOM.search(str(error)):
                    raise DiskFullError(
                        f"no room left while writing: {error}",
                        where=self.url,
                        hint="free some space and run the same command again",
                    ) from error
                raise
            finally:
                self._depth = 0

    def _rollback(self) -> None:
        try:
            self._connection.execute("ROLLBACK")
        except duckdb.Error:
            # The transaction died with the failed statement; there is nothing left to roll back.
            return

    def local(self, name: str) -> Path:
        """This machine's copy of a file below `root`, brought here first if need be; raises NotFoundError."""
        path = self.root / name
        if not path.is_file():
            if self.remote is None:
                raise NotFoundError(f"no file {name}", where=str(self.root))
            self.remote.fetch(name, path)
        return path

    def publish(self, folder: Path) -> None:
        """Store a finished folder below `root` where other machines find it; call it before committing its rows.

        Nothing is to do where all bytes lie in `root`. Indexes come after shards, so that a reader never meets half a
        split, and what an earlier folder of this name held goes last.
        """
        if self.remote is None:
            return
        files = {path.relative_to(self.root).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        for name, path in sorted(files.items(), key=lambda item: (item[1].suffix == ".parquet", item[0])):
            self.remote.write(name, path)
        for name in self.remote.names(f"{folder.relative_to(self.root).as_posix()}/"):
            if name not in files:
                self.remote.remove(name)

    def release(self, folder: Path) -> None:
        """Drop this machine's copies of the shards in a folder, where object storage holds them."""
        if self.remote is not None:
            for path in folder.rglob("*.tar"):
                path.unlink()

    def _arrow(self, table: str, rows: Iterable[Mapping[str, Any]], run_id: str) -> pa.Table:
        columns = self._columns[table]
        materialised = list(rows)
        unknown = {name for row in materialised for name in row} - set(columns)
        names = [*columns, *sorted(unknown)]
        arrays = {name: [row.get(name) for row in materialised] for name in names}
        if run_id and "run_id" in columns:
            arrays["run_id"] = [value or run_id for value in arrays["run_id"]]
        return pa.table({name: pa.array(values) for name, values in arrays.items()})

    def merge(self, table: str, rows: Iterable[Mapping[str, Any]] | pa.Table, *, run_id: str = "") -> int:
        """Idempotent write on the table's key; returns how many rows are new.

        A row whose key is there is left as it is, except in mutable tables, where it is updated if it differs. Rows
        that repeat a key within the call count once, the last one wins. Columns not given become NULL.
        """
        if table not in KEYS:
            raise NotFoundError(f"no table {table!r}", hint=f"one of {', '.join(sorted(KEYS))}")
        incoming = rows if isinstance(rows, pa.Table) else self._arrow(table, rows, run_id)
        if run_id and "run_id" in self._columns[table] and "run_id" not in incoming.column_names:
            incoming = incoming.append_column("run_id", pa.array([run_id] * incoming.num_rows))
        unknown = sorted(set(incoming.column_names) - set(self._columns[table]))
        if unknown:
            raise ConfigError(f"no such columns in {table}: {unknown}", where=f"merge into {table}")
        if incoming.num_rows == 0:
            return 0
        with self.commit():
            return self._merge_arrow(table, incoming)

    def _merge_arrow(self, table: str, incoming: pa.Table) -> int:
        key, columns = KEYS[table], self._columns[table]
        given = [name for name in columns if name in incoming.column_names]
        selected = ", ".join(f"CAST({name} AS {columns[name]}) AS {name}" for name in given)
        names = ", ".join(key)
        self._connection.register("incoming_rows", incoming)
        try:
            self._connection.execute(
                f"CREATE OR REPLACE TEMP TABLE merge_rows AS SELECT {selected}"
                " FROM (SELECT *, row_number() OVER () AS rn FROM incoming_rows)"
                f" QUALIFY row_number() OVER (PARTITION BY {names} ORDER BY rn DESC) = 1"
                " ORDER BY rn"
            )
            self._refuse_null_keys(table, key)
            return self._execute_merge(table, key, given)
        finally:
            self._connection.unregister("incoming_rows")
            self._connection.execute("DROP TABLE IF EXISTS merge_rows")

    def _refuse_null_keys(self, table: str, key: tuple[str, ...]) -> None:
        # NULL equals nothing, so such a row would be inserted again by every retry.
        missing = " OR ".join(f"{name} IS NULL" for name in key)
        count = int(self._connection.execute(f"SELECT count(*) FROM merge_rows WHERE {missing}").fetchall()[0][0])
        if count:
            raise InvalidInputError(f"{count} rows without a key ({', '.join(key)})", where=f"merge into {table}")

    def _execute_merge(self, table: str, key: tuple[str, ...], given: list[str]) -> int:
        match = " AND ".join(f"t.{name} = s.{name}" for name in key)
        changing = [name for name in given if name not in key] if table in MUTABLE else []
        if changing:
            pairs = ", ".join(f"{name} = s.{name}" for name in changing)
            differs = " OR ".join(f"t.{name} IS DISTINCT FROM s.{name}" for name in changing)
            self._connection.execute(f"UPDATE {table} t SET {pairs} FROM merge_rows s WHERE {match} AND ({differs})")
        # Without a new row this writes nothing, not even a snapshot.
        inserted = self._connection.execute(
            f"INSERT INTO {table} ({', '.join(given)}) SELECT {', '.join('s.' + n for n in given)} FROM merge_rows s "
            f"ANTI JOIN {table} t ON {match}"
        )
        return int(inserted.fetchall()[0][0])

    def digest(self, sql: str, params: Sequence[Any] = ()) -> str:
        """SHA-256 over a query's rows whatever their order, without columns that say when or by which run."""
        result = self.table(sql, params)
        keep = [name for name in sorted(result.column_names) if name not in VOLATILE_COLUMNS]
        lines = sorted(canonical_json([_plain(row[name]) for name in keep]) for row in result.select(keep).to_pylist())
        return hashlib.sha256("\n".join([canonical_json(keep), *lines]).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """JSON-ready form of one cell."""
    return value if isinstance(value, (str, int, float, bool, list, dict, type(None))) else str(value)


def read_only(warehouse: Warehouse) -> duckdb.DuckDBPyConnection:
    """A connection of its own that cannot change the lake; the caller closes it."""
    return connect(warehouse.place, read_only=True)


def open_warehouse(url: str) -> Warehouse:
    """Open a warehouse by folder or URL (place.py), making it if absent; raises ConfigError, BackendError."""
    place = find_place(url)
    try:
        return Warehouse(place)
    except RewardDanceError:
        raise
    except OSError as error:
        raise ConfigError(f"cannot open the warehouse: {error}", where=place.shown) from error
