"""One pass over the files of an import: rows numbered, checked, brought to one spelling, and without repeats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from warehouse.errors import InvalidInputError
from warehouse.importers.comparison import Format, FormatOptions, Outcome, Refused
from warehouse.importers.fields import clean_path
from warehouse.importers.rows import TABULAR, fingerprint, read_rows
from warehouse.importers.source_row import SourceRow


class Reading:
    """`read` and `duplicates` count rows as they pass."""

    def __init__(self, format: Format, options: FormatOptions, root: Path, files: Sequence[Path]) -> None:
        self._format, self._options = format, options
        self._root, self._files = root, files
        self.read = self.duplicates = 0
        self._refused: list[Refused] = []

    def outcomes(self, dedupe: bool = True) -> Iterator[Outcome]:
        """Comparisons, embedded media and refused rows of all files; rows equal in every field count once."""
        for outcome in self._format.read(self._rows(dedupe), self._options):
            yield from self._refusals()
            yield outcome
        yield from self._refusals()

    def _refusals(self) -> Iterator[Refused]:
        yield from self._refused
        self._refused.clear()

    def _rows(self, dedupe: bool) -> Iterator[SourceRow]:
        columns = self._options.columns
        paths = [columns.get(name, name) for name in self._format.paths]
        seen: set[bytes] = set()
        for path in self._files:
            checked, name = False, path.relative_to(self._root).as_posix()
            for row in read_rows(path, name):
                if not checked and not row.problem:
                    self._check_columns(row, path)
                    checked = True
                numbered = _clean(row, paths, self.read)
                self.read += 1
                if self._is_usable(numbered) and (not dedupe or self._is_new(numbered, seen)):
                    yield numbered

    def _is_usable(self, row: SourceRow) -> bool:
        if row.problem:
            self._refused.append(Refused(row.bare(), "bad_row", row.problem))
        return not row.problem

    def _is_new(self, row: SourceRow, seen: set[bytes]) -> bool:
        """False for a row that equals an earlier one in every field, and for one that no text can hold."""
        try:
            mark = fingerprint(row.fields)
        except ValueError as error:
            self._refused.append(Refused(row.bare(), "bad_text", f"half a character, or nested too deeply: {error}"))
            return False
        if mark in seen:
            self.duplicates += 1
            return False
        seen.add(mark)
        return True

    def _check_columns(self, row: SourceRow, path: Path) -> None:
        """A table lacks a column in all rows or in none; objects differ, so only one that has none of them is told."""
        is_table, named = path.suffix.lower() in TABULAR, [name for name in self._options.columns.values() if name]
        needed = [*self._format.required, *named] if is_table else [*self._format.required] or named
        missing = [name for name in needed if name not in row.fields]
        if not missing or (not is_table and len(missing) < len(needed)):
            return
        there = f"it has {', '.join(map(str, row.fields))}"[:500]
        hint = f"{there}. {self._format.hint}" if self._format.hint else there
        raise InvalidInputError(f"no columns {', '.join(missing)}", where=str(path), hint=hint)


def _clean(row: SourceRow, columns: Sequence[str], index: int) -> SourceRow:
    """The row under its number, with its paths in one spelling: `./a.mp4` and `a.mp4` make equal rows."""
    given = {name: row.fields.get(name) for name in columns if name}
    cleaned = {
        name: clean_path(value)
        for name, value in given.items()
        if isinstance(value, str) and value.strip() and "://" not in value
    }
    return SourceRow(row.file, row.number, {**row.fields, **cleaned} if cleaned else row.fields, row.problem, index)
