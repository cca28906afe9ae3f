"""CSV and TSV, a row at a time.

Trap: public files hold stray carriage returns inside fields without quotation marks, where Python's reader stops.
Lines end at a line feed here, and a carriage return that is not before one reads as a blank. A file whose first line
is ended by a carriage return has no line feeds that end lines, and is read as such files were meant.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from warehouse.errors import InvalidInputError
from warehouse.importers.source_row import SourceRow

_STRAY = re.compile(r"\r(?!\n|$)")
_PEEK = 1 << 16


def read_delimited(path: Path, name: str, delimiter: str, quoted: bool) -> Iterator[SourceRow]:
    """Rows; `quoted=False` takes quotation marks as they stand. Raises InvalidInputError for a header of no use."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.DictReader(_lines(path), delimiter=delimiter, quoting=quoting, strict=quoted)
    _check_header(reader, path)
    number = 0
    while True:
        number += 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield SourceRow(name, number, problem=f"not a row of fields: {error}")
            continue
        yield SourceRow(name, number, fields, _field_problem(fields))


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        old_mac = file.readline(_PEEK).endswith("\r")
    # newline=None splits at every carriage return, newline="\n" at line feeds only.
    with path.open(encoding="utf-8-sig", newline=None if old_mac else "\n") as file:
        for line in file:
            yield _STRAY.sub(" ", line) if "\r" in line else line


def _check_header(reader: csv.DictReader[str], path: Path) -> None:
    try:
        names = reader.fieldnames
    except csv.Error as error:
        raise InvalidInputError(f"the first line names no columns: {error}", where=str(path)) from error
    if len(set(names or ())) < len(names or ()):
        raise InvalidInputError(f"two columns have the same name: {names}", where=str(path))


def _field_problem(fields: dict[str | Any, Any]) -> str:
    """csv.DictReader files surplus fields under the key None and fills missing ones with the value None."""
    if None in fields:
        return f"{len(fields[None])} fields more than the header"
    missing = [key for key, value in fields.items() if value is None]
    return f"the row ends before {', '.join(missing)}" if missing else ""
