"""Values that do not stand for themselves: each distinct one passes once through the function that says what it means.

Most paths, names and prompts of a large table are plain (table.PLAIN), and the database takes them as they are. The
others (blanks around them, `./a.png`, letters beyond ASCII) come here, so that SQL and Python never disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from warehouse.hashing import canonical_text
from warehouse.importers.table import PLAIN, name_of, path_of, prompt_text
from warehouse.scratch import Scratch

_CANONICAL = r"trim(regexp_replace(lower({x}), '[\x09-\x0d\x1c-\x20]+', ' ', 'g'), ' ')"
Meaning = Callable[[str], str | None]


def distinct(columns: Sequence[str], table: str) -> str:
    """SQL of all values `x` of some columns, each once, NULL left out."""
    parts = " UNION ALL ".join(f"SELECT {column} AS x FROM {table}" for column in columns)
    return f"SELECT DISTINCT x FROM ({parts}) WHERE x IS NOT NULL"


def words(scratch: Scratch, name: str, sql: str, *meanings: Meaning) -> int:
    """Table `name` (given, meaning, meaning1 ...) of the values `x` of a query; returns how many there are."""
    given: list[pa.Array] = []
    found: list[list[pa.Array]] = [[] for _ in meanings]
    for batch in scratch.batches(sql):
        values = batch[0].to_pylist()
        given.append(pa.array(values, pa.string()))
        for meaning, column in zip(meanings, found, strict=True):
            column.append(pa.array([meaning(value) for value in values], pa.string()))
    columns = {"given": given} | {f"meaning{n or ''}": column for n, column in enumerate(found)}
    table = pa.table({key: pa.chunked_array(chunks, pa.string()) for key, chunks in columns.items()})
    scratch.load(name, table)
    return len(table)


def canonical_sql(text: str) -> str:
    """SQL of `hashing.canonical_text` for ASCII."""
    return _CANONICAL.format(x=text)


class Spelled:
    """SQL of what the columns of one table mean, where its odd values have gone into tables of words."""

    def __init__(self, scratch: Scratch, table: str) -> None:
        self._scratch, self._table = scratch, table
        self._odd: dict[str, int] = {}
        self.joins: list[str] = []

    @property
    def has_odd(self) -> bool:
        """Whether two rows may mean the same and look different."""
        return any(self._odd.values())

    def learn(self, kind: str, columns: Sequence[str]) -> None:
        """Look at the odd values of some columns of one kind: prompt, path or name."""
        meanings: dict[str, tuple[Meaning, ...]] = {
            "prompt": (prompt_text, canonical_text), "path": (path_of,), "name": (name_of,),
        }  # fmt: skip
        sql = f"{distinct(columns, self._table)} AND NOT ({PLAIN[kind].format(x='x')})"
        self._odd[kind] = words(self._scratch, f"odd_{kind}", sql, *meanings[kind]) if columns else 0

    def __call__(self, kind: str, column: str) -> str:
        """SQL of a column's meaning; NULL where it means nothing."""
        return self._said(kind, column, column, "meaning")

    def canonical(self, column: str) -> str:
        """SQL of a prompt's canonical text."""
        return self._said("prompt", column, canonical_sql(column), "meaning1")

    def _said(self, kind: str, column: str, plain: str, meaning: str) -> str:
        if not self._odd[kind]:
            return plain
        alias = f"odd_{kind}_{column}"
        join = f"LEFT JOIN odd_{kind} {alias} ON {alias}.given = {column}"
        if join not in self.joins:
            self.joins.append(join)
        return f"CASE WHEN {alias}.given IS NULL THEN {plain} ELSE {alias}.{meaning} END"
