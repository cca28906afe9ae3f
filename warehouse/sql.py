"""Read-only SQL for people: one SELECT over all tables, refused if it could write.

Left out on purpose: named questions (lineage.py and the commands have those).
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from warehouse.catalog import Warehouse
from warehouse.errors import InvalidInputError


def query(warehouse: Warehouse, text: str, limit: int = 1000) -> pa.Table:
    """Rows of one SELECT (WITH, VALUES and time travel included), at most `limit`.

    Raises InvalidInputError for anything else than one SELECT, and for what DuckDB refuses.
    """
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise InvalidInputError(f"not SQL: {error}") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise InvalidInputError("only one SELECT statement can be asked", hint="changes go through the commands")
    try:
        return warehouse.table(f"SELECT * FROM ({statements[0].query.rstrip().rstrip(';')}\n) LIMIT {int(limit)}")
    except duckdb.Error as error:
        raise InvalidInputError(f"the query cannot be answered: {error}", hint="SELECT table_name FROM duckdb_tables() lists tables") from error
