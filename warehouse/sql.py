"""Read-only SQL for people: one SELECT over all tables and views, on a connection that cannot change the lake.

The kind of statement alone is no fence: DuckLake's maintenance (expiring snapshots, deleting files) is called from a
SELECT, so those functions are refused by name too, and files outside the warehouse cannot be read. Left out on
purpose: named questions (views.py, lineage.py and the commands).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from warehouse.catalog import Warehouse, read_only
from warehouse.errors import InvalidInputError
from warehouse.tables import KEYS
from warehouse.views import VIEWS, needed

_READING = "snapshots|table_info|table_changes|table_insertions|table_deletions|list_files|current_snapshot"
_MAINTENANCE = re.compile(rf"\bducklake_(?!(?:{_READING})\b)\w+", re.IGNORECASE)


@contextmanager
def reading(warehouse: Warehouse, text: str, at: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection with the views that `text` names; tables and views as they stood at snapshot `at`.

    Raises InvalidInputError for a snapshot that does not exist.
    """
    views = needed(text)
    connection = read_only(warehouse)
    try:
        if at is not None:
            _travel(connection, " ".join([text, *(VIEWS[name].sql for name in views)]), at)
        for name in views:
            connection.execute(f"CREATE TEMP VIEW {name} AS {VIEWS[name].sql}")
        _fence(connection, warehouse)
        yield connection
    finally:
        connection.close()


def _travel(connection: duckdb.DuckDBPyConnection, text: str, at: int) -> None:
    """Temporary views in front of the tables that `text` names, as of snapshot `at`."""
    query = "SELECT snapshot_id FROM ducklake_snapshots('lake') WHERE snapshot_id = ?"
    if not connection.execute(query, [at]).fetchall():
        raise InvalidInputError(f"no snapshot {at}", hint="SELECT * FROM ducklake_snapshots('lake') lists them")
    for table in sorted(KEYS.keys() & set(re.findall(r"\w+", text))):
        connection.execute(f"CREATE TEMP VIEW {table} AS SELECT * FROM lake.{table} AT (VERSION => {at})")


def _fence(connection: duckdb.DuckDBPyConnection, warehouse: Warehouse) -> None:
    """No file but the tables' own can be read, and no query can lift that."""
    connection.execute("SET allowed_directories = ?", [[warehouse.place.data]])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _checked(text: str) -> str:
    """The one SELECT in `text`."""
    refused = _MAINTENANCE.search(text)
    if refused:
        raise InvalidInputError(f"{refused.group()} changes the warehouse", hint="ask with a SELECT that only reads")
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise InvalidInputError(f"not SQL: {error}") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise InvalidInputError("only one SELECT statement can be asked", hint="changes go through the commands")
    return str(statements[0].query)


def query(warehouse: Warehouse, text: str, limit: int = 1000, at: int | None = None) -> pa.Table:
    """Rows of one SELECT over tables and views (WITH and time travel included), at most `limit`.

    `at` asks the whole query at that snapshot. Raises InvalidInputError for anything else than one SELECT, and for what
    DuckDB refuses.
    """
    wanted = _checked(text)
    try:
        with reading(warehouse, wanted, at) as connection:
            return connection.sql(wanted).limit(limit).to_arrow_table()
    except duckdb.Error as error:
        raise InvalidInputError(
            f"the query cannot be answered: {error}", hint="docs/sql.md lists tables and views"
        ) from error
