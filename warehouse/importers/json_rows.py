"""JSON lists and JSON lines, an element at a time: a list of a million rows is never whole in memory.

What lies outside the elements of a list (no list, a missing comma, no end) makes the file unusable and raises; an
element that is no object is a row with a problem.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from warehouse.errors import InvalidInputError
from warehouse.importers.source_row import SourceRow

_BLOCK = 1 << 18
_LARGEST = 64 << 20
_BLANK = re.compile(r"[ \t\n\r]*")


def read_json(path: Path, name: str) -> Iterator[SourceRow]:
    """Elements of a JSON list; raises InvalidInputError where the file is not one."""
    with path.open(encoding="utf-8-sig") as file:
        for number, value in enumerate(_Elements(file, path), 1):
            yield _row(name, number, value)


def read_jsonl(path: Path, name: str) -> Iterator[SourceRow]:
    """One object a line; blank lines are passed over, numbers are those of the file's lines."""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _line(name, number, line)


def _line(name: str, number: int, line: str) -> SourceRow:
    try:
        return _row(name, number, json.loads(line))
    except (ValueError, RecursionError) as error:
        return SourceRow(name, number, problem=f"not JSON: {error}")


def _row(name: str, number: int, value: Any) -> SourceRow:
    if isinstance(value, dict):
        return SourceRow(name, number, value)
    return SourceRow(name, number, problem=f"a row is a JSON object, got {type(value).__name__}")


class _Elements:
    """Iterates over a list's elements; the buffer holds one element and what was read behind it."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file, self._path = file, path
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._ended = "", 0, False

    def __iter__(self) -> Iterator[Any]:
        opening = self._sign()
        if opening != "[":
            raise self._fault(f"expected a JSON list of rows, it begins with {opening!r}")
        self._at += 1
        if self._sign() == "]":
            self._at += 1
        else:
            yield self._element()
            while self._sign() == ",":
                self._at += 1
                self._sign()
                yield self._element()
            if self._sign() != "]":
                raise self._fault(f"not JSON: expected ',' or ']', got {self._sign()!r}")
            self._at += 1
        if self._sign():
            raise self._fault("not JSON: something stands behind the list")

    def _more(self) -> None:
        block = self._file.read(max(_BLOCK, len(self._text) - self._at))
        self._ended = not block
        self._text, self._at = self._text[self._at :] + block, 0

    def _sign(self) -> str:
        """The next character that is not blank, "" at the end."""
        while True:
            found = _BLANK.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._more()

    def _element(self) -> Any:
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if self._ended or isinstance(error, RecursionError) or len(self._text) - self._at > _LARGEST:
                    raise self._fault(f"not JSON: {error}") from error
                self._more()
                continue
            # A number at the very end of the buffer may go on behind it.
            if end < len(self._text) or self._ended:
                self._at = end
                return value
            self._more()

    def _fault(self, message: str) -> InvalidInputError:
        hint = "a list of objects, or one object a line (.jsonl)"
        return InvalidInputError(message, where=str(self._path), hint=hint)
