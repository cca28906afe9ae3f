"""The rows of a table import as one view `told`, whatever files they stand in.

A Parquet file of texts and numbers is scanned where it lies. Every other file (CSV, JSON, Parquet that holds media, or
text that is not UTF-8) is read a row at a time, and spelled into such a file first: what CSV and JSON may hold is
decided in one place for all formats, and so is what is kept of media.

`told` has `row` (the file's number in the upper bits, the row's in the lower 40), a VARCHAR for every role that the
config names, `kept_first` and so on (the sha256 of embedded bytes, NULL for the most), and `rest`: a digest of all
other columns, since rows equal in every field count once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import InvalidInputError
from warehouse.hashing import literal, sha256_hex
from warehouse.importers.comparison import Item, Refused
from warehouse.importers.fields import spelled
from warehouse.importers.media import MediaFolder
from warehouse.importers.reading import Reading
from warehouse.importers.rows import fingerprint
from warehouse.importers.source_row import SourceRow
from warehouse.importers.table import MEDIA
from warehouse.scratch import Scratch

SHIFT = 40
_ROWS = 20_000


def place_of(row: int, names: Sequence[str]) -> str:
    """`file:row` of a row's number."""
    return f"{names[row >> SHIFT]}:{row & ((1 << SHIFT) - 1)}"


def quoted(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _value(column: str, kind: pa.DataType, is_text: bool) -> str:
    """SQL of a column as `fields.spelled` gives it; NULL where a role that must be text has another type."""
    name = quoted(column)
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return name
    if is_text or pa.types.is_null(kind):
        return "NULL::VARCHAR"
    if pa.types.is_floating(kind):
        whole = f"isfinite({name}) AND {name} = trunc({name}) AND abs({name}) < 1e18"
        return f"CASE WHEN {whole} THEN {name}::BIGINT::VARCHAR ELSE {name}::VARCHAR END"
    return f"{name}::VARCHAR"


def _is_plain(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating,
             pa.types.is_boolean, pa.types.is_null)  # fmt: skip
    return any(test(inner) for test in tests)


class Told:
    """Makes `told`, and keeps what is known of the rows: how many there are, which were refused, whose media are in.

    `columns` maps the roles in use to their columns. `spell` lets no file be scanned where it lies.
    """

    def __init__(
        self, reading: Reading, columns: Mapping[str, str], media: MediaFolder, kind: str, spell: bool = False
    ) -> None:
        self._reading, self.columns, self._media, self._kind, self._spell = reading, columns, media, kind, spell
        self.names = reading.names
        self.read = 0
        self.refused: list[tuple[int, str, str]] = []
        self.keeps_media = False
        self.media_rows: list[pa.Table] = []

    def make(self, scratch: Scratch, folder: Path) -> None:
        """Reads every file that is not scanned; `folder` holds what is spelled. Raises InvalidInputError."""
        folder.mkdir(parents=True, exist_ok=True)
        parts = []
        for number, path in enumerate(self._reading.files):
            schema = self._scanned(path)
            if schema is None:
                target = Path(tempfile.mkdtemp(dir=folder)) / "rows.parquet"
                self._spelled(number, path, target)
                parts.append(f"SELECT * FROM read_parquet({literal(str(target))})")
            else:
                parts.append(self._scan(number, path, schema))
        scratch.view("told", " UNION ALL BY NAME ".join(parts))

    def _scanned(self, path: Path) -> pa.Schema | None:
        """The schema of a file that can be scanned where it lies."""
        if path.suffix.lower() != ".parquet":
            return None
        try:
            about = pq.read_metadata(path)
            schema = about.schema.to_arrow_schema()
        except (pa.ArrowException, OSError) as error:
            raise InvalidInputError(f"not readable as Parquet: {error}", where=str(path)) from error
        if about.num_rows:
            self._reading.check_columns(schema.names, path)
        kinds = [schema.field(name).type for name in self.columns.values() if name in schema.names]
        if self._spell or not all(map(_is_plain, kinds)) or "file_row_number" in schema.names:
            return None
        self.read += about.num_rows
        return schema

    def _scan(self, number: int, path: Path, schema: pa.Schema) -> str:
        told = {
            role: _value(name, schema.field(name).type, role in ("prompt", *MEDIA))
            for role, name in self.columns.items()
            if name in schema.names
        }
        others = sorted(set(schema.names) - set(self.columns.values()))
        pieces = [f"coalesce(strlen({quoted(n)}::VARCHAR)::VARCHAR, 'n'), ':', {quoted(n)}::VARCHAR" for n in others]
        rest = f"md5(concat({', '.join(pieces)}))" if others else "''"
        kept = "".join(f", NULL::VARCHAR AS kept_{role}" for role in MEDIA if role in told)
        listed = "".join(f", {sql} AS told_{role}" for role, sql in told.items())
        return (
            f"SELECT {number}::BIGINT << {SHIFT} | (file_row_number + 1) AS row{listed}{kept}, {rest} AS rest"
            f" FROM read_parquet({literal(str(path))}, file_row_number=true)"
        )

    def _spelled(self, number: int, path: Path, target: Path) -> None:
        schema = pa.schema(
            [("row", pa.int64()), *((f"told_{role}", pa.string()) for role in self.columns),
             *((f"kept_{role}", pa.string()) for role in MEDIA if role in self.columns), ("rest", pa.string())]
        )  # fmt: skip
        with pq.ParquetWriter(target, schema) as writer:
            told = self._cells(number, path)
            while rows := list(islice(told, _ROWS)):
                columns = zip(zip(*rows, strict=True), schema, strict=True)
                writer.write_table(pa.table([pa.array(cells, field.type) for cells, field in columns], schema=schema))
                self._keep_media_rows()
        self._keep_media_rows()

    def _cells(self, number: int, path: Path) -> Iterator[tuple[Any, ...]]:
        """Rows of one file as they stand in the spelled one; what cannot be read is refused."""
        before = self._reading.read
        for row in self._reading.rows(path):
            self._refuse(number, self._reading.refusals())
            place = number << SHIFT | row.number
            try:
                rest = fingerprint(row.fields).hex()
            except ValueError as error:
                self.refused.append((place, "bad_text", f"half a character, or nested too deeply: {error}"))
                continue
            yield (place, *self._roles(row), rest)
        self._refuse(number, self._reading.refusals())
        self.read += self._reading.read - before

    def _refuse(self, number: int, refusals: Iterator[Refused]) -> None:
        self.refused.extend((number << SHIFT | found.row.number, found.reason, found.detail) for found in refusals)

    def _roles(self, row: SourceRow) -> Iterator[str | None]:
        given = {role: row.fields.get(column) for role, column in self.columns.items()}
        items = {role: self._item(given[role], role) for role in MEDIA if role in given}
        told = (items[role][0] if role in items else _text(value, role) for role, value in given.items())
        return chain(told, (kept for _, kept in items.values()))

    def _item(self, value: Any, role: str) -> tuple[str | None, str | None]:
        """What names the item, and the sha256 of its bytes where it brings them: bytes, or {bytes, path}."""
        data, given = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (None, value)
        if isinstance(given, bytes):
            data, given = given, None
        if not isinstance(data, bytes | None) or not isinstance(given, str | None):
            return None, None
        given = given.strip() if given else ""
        if not data:
            return given or None, None
        key, self.keeps_media = sha256_hex(data), True
        kind = "image" if role == "condition" else self._kind
        self._media.keep(Item(key, data=data), kind)
        return given or key[:32], key

    def _keep_media_rows(self) -> None:
        rows = self._media.take_rows()
        if rows:
            self.media_rows.append(pa.Table.from_pylist(rows))


def _text(value: Any, role: str) -> str | None:
    if isinstance(value, str):
        return value
    return None if role == "prompt" else spelled(value) or None
