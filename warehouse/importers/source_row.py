"""One row of one source file: where it stands, what it holds, or why it cannot be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SourceRow:
    """`number` counts data rows of `file` from 1, `index` all rows of one import from 0.

    `problem` is empty where `fields` can be used.
    """

    file: str
    number: int
    fields: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    index: int = 0

    @property
    def location(self) -> str:
        """`file:row`, as rejects name it."""
        return f"{self.file}:{self.number}"

    def bare(self) -> SourceRow:
        """The row without its fields: what may be held in memory for long."""
        return SourceRow(self.file, self.number, {}, self.problem, self.index)
