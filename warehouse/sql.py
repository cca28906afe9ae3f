"""Read-only SQL for people: one SELECT over all tables, on a connection that cannot change the lake.

The kind of statement alone is no fence: DuckLake's maintenance (expiring snapshots, deleting files) is called from a
SELECT, so those functions are refused by name too. Left out on purpose: named questions (lineage.py and the commands).
"""

from __future__ import annotations

import re

import duckdb
import pyarrow as pa

from warehouse.catalog import Warehouse, read_only
from warehouse.errors import InvalidInputError

_READING = "snapshots|table_info|table_changes|table_insertions|table_deletions|list_files|current_snapshot"
_MAINTENANCE = re.compile(rf"\bducklake_(?!(?:{_READING})\b)\w+", re.IGNORECASE)


def query(warehouse: Warehouse, text: str, limit: int = 1000) -> pa.Table:
    """Rows of one SELECT (WITH and time travel included), at most `limit`.

    Raises InvalidInputError for anything else than one SELECT, and for what DuckDB refuses.
    """
    refused = _MAINTENANCE.search(text)
    if refused:
        raise InvalidInputError(f"{refused.group()} changes the warehouse", hint="ask with a SELECT that only reads")
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise InvalidInputError(f"not SQL: {error}") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise InvalidInputError("only one SELECT statement can be asked", hint="changes go through the commands")
    connection = read_only(warehouse)
    try:
        return connection.sql(statements[0].query).limit(limit).to_arrow_table()
    except duckdb.Error as error:
        raise InvalidInputError(f"the query cannot be answered: {error}", hint="SHOW TABLES lists tables") from error
    finally:
        connection.close()
