"""Files of rows, read one row at a time: CSV, TSV, JSON, JSONL, Parquet, TFRecord, plain lines and whole texts.

A file that cannot be read as a whole (absent, empty, not UTF-8, not Parquet) raises. A row that cannot be read keeps
its place and says why in `problem`, so that it can become a reject with file and row. What a row means is left to the
formats.
"""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from warehouse.errors import InvalidInputError, NotFoundError
from warehouse.importers.delimited import read_delimited
from warehouse.importers.json_rows import read_json, read_jsonl
from warehouse.importers.parquet_rows import read_parquet
from warehouse.importers.source_row import SourceRow
from warehouse.importers.tfrecord import read_tfrecord

TABULAR = (".csv", ".tsv", ".parquet")
SUFFIXES = (*TABULAR, ".json", ".jsonl")
_BINARY = (".parquet", ".tfrecord")
_BLOCK = 1 << 20
_READERS = {".json": read_json, ".jsonl": read_jsonl, ".parquet": read_parquet, ".tfrecord": read_tfrecord}


def list_files(path: Path, suffixes: tuple[str, ...] = SUFFIXES, skip: tuple[str, ...] = ()) -> list[Path]:
    """`path` itself, or in a folder every file below it with one of the suffixes, by name.

    Folders named in `skip` hold other things. Raises NotFoundError, or InvalidInputError where nothing fits.
    """
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
        if item.suffix.lower() in suffixes and not item.name.startswith(".") and item.is_file()
    )
    found = [item for item in found if not set(item.relative_to(path).parts[:-1]) & set(skip)]
    if not found:
        raise InvalidInputError("no files to import", where=str(path), hint=f"looked for {', '.join(suffixes)}")
    return found


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes; raises InvalidInputError where it is empty or, unless binary, not UTF-8."""
    digest, decoder, blank = hashlib.sha256(), codecs.getincrementaldecoder("utf-8-sig")(), True
    is_text = path.suffix.lower() not in _BINARY
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


def read_rows(path: Path, name: str = "", *, quoted: bool = True, whole: bool = False) -> Iterator[SourceRow]:
    """Rows of one file by its extension, under the file name `name`; other extensions are read as plain lines.

    `quoted=False` takes quotation marks in CSV and TSV as they stand. Plain lines come as {"line": text}; with `whole`
    such a file is one row.
    """
    suffix, name = path.suffix.lower(), name or path.name
    if suffix in (".csv", ".tsv"):
        return read_delimited(path, name, "\t" if suffix == ".tsv" else ",", quoted)
    if suffix in _READERS:
        return _READERS[suffix](path, name)
    return _whole(path, name) if whole else _lines(path, name)


def _lines(path: Path, name: str) -> Iterator[SourceRow]:
    """Lines that are not blank, numbered as in the file."""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield SourceRow(name, number, {"line": line.strip()})


def _whole(path: Path, name: str) -> Iterator[SourceRow]:
    yield SourceRow(name, 1, {"line": path.read_text(encoding="utf-8-sig").strip()})


def fingerprint(fields: dict[str, Any]) -> bytes:
    """16 bytes that two rows share where they are equal in every field; ValueError for what no text can hold."""
    try:
        body = _SPELLER.encode(fields).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except TypeError:
        # Keys of several types do not sort.
        body = repr(sorted(fields.items(), key=str)).encode()
    return hashlib.sha256(body).digest()[:16]


def _bytes_or_text(value: Any) -> str:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)


_SPELLER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=_bytes_or_text)
