"""Schema migrations: numbered SQL files, each applied once, forward only.

A warehouse that carries a migration that this software does not know is refused, so that old code never writes rows
that new code relies on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from warehouse.errors import NewerSchemaError

_FOLDER = Path(__file__).parent / "migrations"
# DuckLake 1.5.5 asks the catalog several times a column, in every query, for statistics of a table that never had a
# row: 100 ms. These rows say what is true of an empty table; the first insert goes on from them.
_META = "__ducklake_metadata_lake"
_EMPTY = f"end_snapshot IS NULL AND table_id NOT IN (SELECT table_id FROM {_META}.ducklake_table_stats)"
_EMPTY_COLUMNS = f"""
INSERT INTO {_META}.ducklake_table_column_stats (table_id, column_id, contains_null, contains_nan)
SELECT table_id, column_id, false, CASE WHEN column_type IN ('float32', 'float64') THEN false END
FROM {_META}.ducklake_column WHERE {_EMPTY}"""
_EMPTY_TABLES = f"""
INSERT INTO {_META}.ducklake_table_stats (table_id, record_count, next_row_id, file_size_bytes)
SELECT table_id, 0, 0, 0 FROM {_META}.ducklake_table WHERE {_EMPTY}"""


@dataclass(frozen=True)
class Migration:
    """One SQL file, `NNNN_name.sql`."""

    number: int
    name: str
    path: Path


def known() -> list[Migration]:
    """All migrations of this software, in order."""
    files = sorted(_FOLDER.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return [Migration(int(path.name[:4]), path.stem[5:], path) for path in files]


def applied(connection: duckdb.DuckDBPyConnection) -> set[int]:
    """Numbers of the migrations that the attached lake carries."""
    # Asking which tables there are makes DuckLake count each of them: 0.15 s.
    try:
        return {int(number) for (number,) in connection.execute("SELECT number FROM lake.migrations").fetchall()}
    except duckdb.CatalogException:
        return set()


def apply(connection: duckdb.DuckDBPyConnection, *, where: str) -> list[int]:
    """Apply what is missing, in order, as one transaction; call it under the commit lock.

    Returns the numbers applied now. Raises NewerSchemaError where the lake carries a migration that is not known here.
    """
    migrations, have = known(), applied(connection)
    unknown = have - {migration.number for migration in migrations}
    if unknown:
        raise NewerSchemaError(
            f"the warehouse has schema {max(unknown)}, this software knows {migrations[-1].number}",
            where=where,
            hint="install the version that made it",
        )
    missing = [migration for migration in migrations if migration.number not in have]
    if missing:
        _apply(connection, missing)
        _count_empty(connection)
    return [migration.number for migration in missing]


def _apply(connection: duckdb.DuckDBPyConnection, missing: Sequence[Migration]) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    connection.execute("BEGIN")
    try:
        for migration in missing:
            connection.execute(migration.path.read_text(encoding="utf-8"))
            made = [migration.number, migration.name, now]
            connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", made)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _count_empty(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("BEGIN")
    connection.execute(_EMPTY_COLUMNS)
    connection.execute(_EMPTY_TABLES)
    connection.execute("COMMIT")
