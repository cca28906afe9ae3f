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
        self._root, self.files = root, files
        self.read = self.duplicates = 0
        self._refused: list[Refused] = []

    @property
    def names(self) -> list[str]:
        """The files as rejects name them."""
        return [path.relative_to(self._root).as_posix() for path in self.files]

    def outcomes(self, dedupe: bool = True) -> Iterator[Outcome]:
        """Comparisons, embedded media and refused rows of all files; rows equal in every field count once."""
        assert self._format.read is not None
        for outcome in self._format.read(self._unlike(dedupe), self._options):
            yield from self.refusals()
            yield outcome
        yield from self.refusals()

    def refusals(self) -> Iterator[Refused]:
        """Rows that could not be used so far; each is told once."""
        yield from self._refused
        self._refused.clear()

    def _unlike(self, dedupe: bool) -> Iterator[SourceRow]:
        seen: set[bytes] = set()
        for path in self.files:
            yield from (row for row in self.rows(path) if not dedupe or self._is_new(row, seen))

    def rows(self, path: Path) -> Iterator[SourceRow]:
        """Usable rows of one file; the others wait in `refusals`."""
        columns = self._options.columns
        paths = [columns.get(name, name) for name in self._format.paths]
        checked, name = False, path.relative_to(self._root).as_posix()
        for row in read_rows(path, name):
            if not checked and not row.problem:
                self.check_columns(list(row.fields), path)
                checked = True
            numbered = _clean(row, paths, self.read)
            self.read += 1
            if self._is_usable(numbered):
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

    def check_columns(self, there: Sequence[str], path: Path) -> None:
        """A table lacks a column in all rows or in none; objects differ, so only one that has none of them is told.

        Raises InvalidInputError.
        """
        is_table, named = path.suffix.lower() in TABULAR, [name for name in self._options.columns.values() if name]
        needed = [*self._format.required, *named] if is_table else [*self._format.required] or named
        missing = [name for name in needed if name not in there]
        if not missing or (not is_table and len(missing) < len(needed)):
            return
        listed = f"it has {', '.join(map(str, there))}"[:500]
        hint = f"{listed}. {self._format.hint}" if self._format.hint else listed
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
