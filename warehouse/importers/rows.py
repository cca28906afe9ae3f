"""Files of rows, read one row at a time: CSV, TSV, JSON, JSONL, Parquet, and plain lines.

A file that cannot be read as a whole (absent, empty, not UTF-8, no rows, not Parquet) raises. A row that cannot be read
keeps its place and says why in `problem`, so that it can become a reject with file and row. JSON arrays are held in
memory; every other form is read as it goes. What a row means is left to the formats.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import InvalidInputError, NotFoundError

TABULAR = (".csv", ".tsv", ".parquet")
SUFFIXES = (*TABULAR, ".json", ".jsonl")
_BLOCK = 1 << 20
_PARQUET_BATCH = 64


@dataclass(frozen=True)
class SourceRow:
    """One row of one file: `number` counts data rows from 1; `problem` is empty where `fields` can be used."""

    file: str
    number: int
    fields: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def location(self) -> str:
        """`file:row`, as rejects name it."""
        return f"{self.file}:{self.number}"


def list_files(path: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """`path` itself, or in a folder every file below it with one of the suffixes, by name."""
    if path.is_file():
        if path.suffix.lower() not in suffixes:
            raise InvalidInputError(
                f"a file of kind {path.suffix or path.name!r}",
                where=str(path),
                hint=f"this format is read from {', '.join(suffixes)}",
            )
        return [path]
    if not path.is_dir():
        raise NotFoundError(f"no file or folder {path}")
    found = sorted(
        item
        for item in path.rglob("*")
        if item.is_file() and item.suffix.lower() in suffixes and not item.name.startswith(".")
    )
    if not found:
        raise InvalidInputError("no files to import", where=str(path), hint=f"looked for {', '.join(suffixes)}")
    return found


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes; raises InvalidInputError where it is empty or, unless Parquet, not UTF-8."""
    digest, decoder, blank = hashlib.sha256(), codecs.getincrementaldecoder("utf-8-sig")(), True
    is_text = path.suffix.lower() != ".parquet"
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            blank = blank and not (_decoded(decoder, block, path).strip() if is_text else block)
    if is_text:
        _decoded(decoder, b"", path, final=True)
    if blank:
        raise InvalidInputError("the file is empty", where=str(path))
    return digest.hexdigest()


def _decoded(decoder: codecs.IncrementalDecoder, block: bytes, path: Path, final: bool = False) -> str:
    try:
        return decoder.decode(block, final)
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"not UTF-8: {error.reason}", where=str(path), hint="save the file as UTF-8") from error


def read_rows(path: Path, name: str = "", *, quoted: bool = True) -> Iterator[SourceRow]:
    """Rows of one file by its extension, under the file name `name`; other extensions are read as plain lines.

    `quoted=False` takes quotation marks in CSV and TSV as they stand. Plain lines come as {"line": text}.
    """
    readers = {".json": _json, ".jsonl": _jsonl, ".parquet": _parquet}
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _delimited(path, name or path.name, "\t" if suffix == ".tsv" else ",", quoted)
    return readers.get(suffix, _lines)(path, name or path.name)


def _delimited(path: Path, name: str, delimiter: str, quoted: bool) -> Iterator[SourceRow]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        reader = csv.DictReader(file, delimiter=delimiter, quoting=quoting, strict=quoted)
        number = _check_header(reader, path)
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


def _check_header(reader: csv.DictReader[str], path: Path) -> int:
    """0, the number of rows before the first; raises InvalidInputError where the first line names no columns."""
    try:
        names = reader.fieldnames
    except csv.Error as error:
        raise InvalidInputError(f"the first line names no columns: {error}", where=str(path)) from error
    if len(set(names or ())) < len(names or ()):
        raise InvalidInputError(f"two columns have the same name: {names}", where=str(path))
    return 0


def _field_problem(fields: dict[str | Any, Any]) -> str:
    """csv.DictReader files surplus fields under the key None and fills missing ones with the value None."""
    if None in fields:
        return f"{len(fields[None])} fields more than the header"
    missing = [key for key, value in fields.items() if value is None]
    return f"the row ends before {', '.join(missing)}" if missing else ""


def _object(name: str, number: int, value: Any) -> SourceRow:
    if isinstance(value, dict):
        return SourceRow(name, number, value)
    return SourceRow(name, number, problem=f"a row is a JSON object, got {type(value).__name__}")


def _json(path: Path, name: str) -> Iterator[SourceRow]:
    try:
        body = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise InvalidInputError(f"not JSON: {error}", where=str(path)) from error
    if not isinstance(body, list):
        raise InvalidInputError(f"expected a JSON list of rows, got {type(body).__name__}", where=str(path))
    for number, value in enumerate(body, 1):
        yield _object(name, number, value)


def _jsonl(path: Path, name: str) -> Iterator[SourceRow]:
    for row in _lines(path, name):
        try:
            yield _object(name, row.number, json.loads(row.fields["line"]))
        except json.JSONDecodeError as error:
            yield SourceRow(name, row.number, problem=f"not JSON: {error}")


def _lines(path: Path, name: str) -> Iterator[SourceRow]:
    """Lines that are not blank, numbered as in the file."""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield SourceRow(name, number, {"line": line.strip()})


def _parquet(path: Path, name: str) -> Iterator[SourceRow]:
    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=_PARQUET_BATCH):
                for fields in batch.to_pylist():
                    number += 1
                    yield SourceRow(name, number, fields)
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidInputError(f"not readable as Parquet: {error}", where=str(path)) from error


def fingerprint(fields: dict[str, Any]) -> bytes:
    """16 bytes that two rows share where they are equal in every field; UnicodeEncodeError for half a character."""
    body = json.dumps(fields, sort_keys=True, ensure_ascii=False, default=_bytes_or_text)
    return hashlib.sha256(body.encode()).digest()[:16]


def _bytes_or_text(value: Any) -> str:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)
