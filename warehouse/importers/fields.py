"""Typed values out of the fields of a row; every one raises RowError, so that a bad field refuses its row only."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from warehouse.hashing import sha256_hex
from warehouse.importers.comparison import Item, RowError, SideLabel
from warehouse.importers.source_row import SourceRow

_NOTHING = {"", "nan", "none", "null"}


def clean_path(path: str) -> str:
    """One spelling of a relative path: `./videos/a.mp4` and `videos//a.mp4` are `videos/a.mp4`."""
    return posixpath.normpath(path.strip().replace("\\", "/"))


def spelled(value: Any) -> str:
    """A scalar as CSV would spell it, so that 1, 1.0 and "1" are one; "" for null, NaN and none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    return "" if text.casefold() in _NOTHING else text


def text_of(row: SourceRow, column: str) -> str:
    """A text that must not be empty."""
    value = row.fields.get(column)
    if not isinstance(value, str) or not value.strip():
        raise RowError("missing_field", f"no {column}, got {value!r}"[:300])
    return value


def name_of(row: SourceRow, column: str) -> str:
    """A text or number that names somebody or something."""
    found = spelled(row.fields.get(column))
    if not found:
        raise RowError("missing_field", f"no {column}, got {row.fields.get(column)!r}"[:300])
    return found


def number_of(row: SourceRow, column: str) -> float:
    """A finite number."""
    value = row.fields.get(column)
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise RowError("bad_score", f"{column} is {value!r}, expected a number"[:300])
    return number


def label_of(row: SourceRow, column: str, meaning: Mapping[str, SideLabel]) -> SideLabel:
    """What the value of `column` means."""
    value = row.fields.get(column)
    if spelled(value) not in meaning:
        raise RowError("bad_label", f"{column} is {value!r}, expected one of {', '.join(meaning)}"[:300])
    return meaning[spelled(value)]


def texts_of(row: SourceRow, column: str) -> list[str]:
    """A list of texts, none of them empty."""
    value = row.fields.get(column)
    if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
        raise RowError("missing_field", f"{column} is no list of texts: {value!r}"[:300])
    return value


def moment_of(value: Any) -> datetime | None:
    """A time in UTC without zone; None where there is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    except (OverflowError, ValueError):
        return None


def media_item(row: SourceRow, column: str, model: str = "", name: str = "") -> Item:
    """A medium: bytes, {bytes, path} as `datasets` writes it, a path or web address, or nothing.

    `name` identifies it; by default its path, else its bytes, else the row and the column.
    """
    value = row.fields.get(column)
    data, given = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (None, value)
    if isinstance(given, bytes):
        data, given = given, None
    if not isinstance(data, bytes | None) or not isinstance(given, str | None):
        raise RowError("missing_field", f"{column} is {type(value).__name__}, expected a medium or a path")
    given = given.strip() if given else ""
    path = clean_path(given) if given and "://" not in given else given
    called = name or path or (sha256_hex(data)[:32] if data else f"{row.location}/{column}")
    file = "" if data or "://" in path else path
    return Item(f"{model}/{called}" if model and not name else called, model or "unknown", file, data or None)
