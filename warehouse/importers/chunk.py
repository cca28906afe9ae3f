"""What an import holds in memory: the rows of one commit, and which source rows did something."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from warehouse.importers.source_row import SourceRow
from warehouse.records import Row

_KEYS = {
    "prompts": "prompt_id",
    "media": "media_id",
    "generators": "generator_id",
    "candidates": "candidate_id",
    "pairs": "pair_id",
    "annotators": "annotator_id",
    "rationales": "rationale_id",
}


@dataclass
class Chunk:
    """Rows of one commit by id; `behind` holds the places of the rows that each vote came from."""

    tables: dict[str, dict[str, Row]] = field(default_factory=lambda: {name: {} for name in _KEYS})
    votes: dict[str, Row] = field(default_factory=dict)
    behind: dict[str, tuple[SourceRow, ...]] = field(default_factory=dict)
    # By the text and condition, and by the name of an item without bytes of its own: most rows repeat them.
    prompts: dict[tuple[str, str | None], Row] = field(default_factory=dict)
    items: dict[str, Row] = field(default_factory=dict)
    comparisons: int = 0

    def add(self, table: str, row: Row) -> Row:
        """The row that stands for its id: the first one."""
        return self.tables[table].setdefault(row[_KEYS[table]], row)


class Marks:
    """A set of row numbers, a byte each."""

    def __init__(self) -> None:
        self._marks = bytearray()

    def add(self, rows: Iterable[SourceRow], mark: int = 1) -> None:
        for row in rows:
            if row.index >= len(self._marks):
                self._marks.extend(bytes(row.index + 65_536 - len(self._marks)))
            self._marks[row.index] = mark

    def __len__(self) -> int:
        return self._marks.count(1)

    def minus(self, other: Marks) -> int:
        """How many are in this set and not in the other."""
        return len(self) - sum(mine & theirs for mine, theirs in zip(self._marks, other._marks, strict=False))
