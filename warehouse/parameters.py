"""DuckDB's look at parameters, without pandas.

Of every value that is handed to a query DuckDB asks whether it is pandas' NaT or NA, and imports pandas to know: a
third of a second in each process. It remembers what it found, so at its first question it is given a stand-in that
knows neither; whatever else DuckDB wants of pandas comes from pandas. Parameters of ours are plain Python. Commands and
stages settle this when they start; a program that uses the warehouse as a library is left as it is.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import duckdb


class _NoPandas(ModuleType):
    """Neither value is anything that exists."""

    NaT = NA = object()

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("pandas"), name)


def settle() -> None:
    """Let DuckDB ask now; where pandas is loaded already there is nothing to save."""
    if "pandas" in sys.modules:
        return
    sys.modules["pandas"] = _NoPandas("pandas")
    try:
        with duckdb.connect() as connection:
            connection.execute("SELECT ?", [0])
    finally:
        del sys.modules["pandas"]
