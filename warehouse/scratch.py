"""Temporary tables beside the lake: what one piece of work needs in SQL while it lasts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from warehouse.tables import KEYS


class Scratch:
    """Statements on the warehouse's own connection, in which temporary tables and the lake's meet."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        # Asking the database for what was made would look through every catalog.
        self._made: dict[str, str] = {}

    def run(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """One statement, and its rows."""
        given = dict(params) if isinstance(params, Mapping) else list(params)
        return self._connection.execute(sql, given).fetchall()

    def table(self, name: str, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> int:
        """Make a temporary table of a query; returns how many rows it has."""
        self._made[name] = "TABLE"
        return int(self.run(f"CREATE TEMP TABLE {name} AS {sql}", params)[0][0])

    def view(self, name: str, sql: str) -> None:
        """Make a temporary view of a query."""
        self._made[name] = "VIEW"
        self.run(f"CREATE TEMP VIEW {name} AS {sql}")

    def forget(self, *names: str) -> None:
        """Drop some of them."""
        for name in names:
            kind = self._made.pop(name)
            self.run(f'DROP {kind} IF EXISTS temp."{name}"')

    def load(self, name: str, rows: pa.Table) -> None:
        """Make a temporary table of these rows."""
        self._connection.register("scratch_rows", rows)
        try:
            self.table(name, "SELECT * FROM scratch_rows")
        finally:
            self._connection.unregister("scratch_rows")

    def insert(
        self, table: str, sql: str, params: Mapping[str, Any] | None = None, *, run_id: str, among: str = "true"
    ) -> int:
        """Rows of a query into a table of the lake where their key is new, and how many; it gives each key once.

        `among` is SQL over the table `t` that is true for all rows that could have such a key.
        """
        given = {name: value for name, value in (params or {}).items() if f"${name}" in sql}
        names = [name for name, *_ in self.run(f"DESCRIBE {sql}", given)]
        keys = " AND ".join(f"t.{key} = s.{key}" for key in KEYS[table])
        statement = (
            f"INSERT INTO {table} ({', '.join(names)}, run_id) SELECT s.*, $run_id FROM ({sql}) s"
            f" ANTI JOIN (SELECT * FROM {table} t WHERE {among}) t ON {keys}"
        )
        return int(self.run(statement, given | {"run_id": run_id})[0][0])

    def batches(self, sql: str, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """A query's rows, so many at a time; no other statement may run before the last one."""
        yield from self._connection.execute(sql).to_arrow_reader(rows)

    def drop(self) -> None:
        """Every temporary table and view."""
        self.forget(*reversed(self._made))


@contextmanager
def scratch(connection: duckdb.DuckDBPyConnection) -> Iterator[Scratch]:
    """Temporary tables until the block ends."""
    made = Scratch(connection)
    # Nothing here depends on the order of rows, and keeping it would leave most statements to one thread.
    connection.execute("SET preserve_insertion_order = false")
    try:
        yield made
    finally:
        connection.execute("SET preserve_insertion_order = true")
        made.drop()
