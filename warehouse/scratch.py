"""Temporary tables beside the lake: what one piece of work needs in SQL while it lasts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa


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
