"""Schema migrations: numbered SQL files, each applied once, forward only.

A warehouse that carries a higher number than this software knows is refused, so that old code never writes rows that
new code relies on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from warehouse.errors import NewerSchemaError

_FOLDER = Path(__file__).parent / "migrations"


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


def applied_number(connection: duckdb.DuckDBPyConnection) -> int:
    """Highest migration the attached lake carries; 0 for an empty one."""
    query = "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'lake' AND table_name = 'migrations'"
    if not connection.execute(query).fetchall()[0][0]:
        return 0
    return int(connection.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchall()[0][0])


def apply(connection: duckdb.DuckDBPyConnection, *, where: str) -> list[int]:
    """Apply what is missing, each file in its own transaction; call it under the commit lock."""
    migrations, have = known(), applied_number(connection)
    newest = migrations[-1].number
    if have > newest:
        raise NewerSchemaError(
            f"the warehouse has schema {have}, this software knows {newest}",
            where=where,
            hint="install the version that made it",
        )
    missing = [migration for migration in migrations if migration.number > have]
    for migration in missing:
        connection.execute("BEGIN")
        connection.execute(migration.path.read_text(encoding="utf-8"))
        connection.execute(
            "INSERT INTO migrations VALUES (?, ?, ?)",
            [migration.number, migration.name, datetime.now(UTC).replace(tzinfo=None)],
        )
        connection.execute("COMMIT")
    return [migration.number for migration in missing]
