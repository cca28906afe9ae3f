"""The one form that every preference format is read into: two items, one prompt, one label a dimension.

A format is a function from rows to comparisons. It decides what a label means and which item a row speaks of; it does
not touch the warehouse or the disk, so that each trap of a public dataset can be tested on plain rows.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from warehouse.importers.rows import SUFFIXES, SourceRow

SideLabel = Literal["first", "second", "tie", "both_bad"]


@dataclass(frozen=True)
class Item:
    """One side: `name` identifies it in its source; media come as `data`, or from the file `path`, or not at all."""

    name: str
    model: str = "unknown"
    path: str = ""
    data: bytes | None = None


@dataclass(frozen=True)
class Judgement:
    """What a judge model wrote about a comparison, with the verdict it came to."""

    judge: str
    verdict: SideLabel
    text: str


@dataclass(frozen=True)
class Comparison:
    """Two items under one prompt. `rater` None = nobody known: `source:<name>`, and one more person for each repeat.

    `one_vote`: the source holds one vote a pair, a repeat is that vote again. `sided`: first stood left on the rater's
    screen. `rows` are the source rows it was read from.
    """

    rows: tuple[SourceRow, ...]
    prompt: str
    prompt_item: str
    first: Item
    second: Item
    labels: dict[str, SideLabel]
    rater: str | None = None
    one_vote: bool = False
    sided: bool = False
    judgement: Judgement | None = None


class RowError(ValueError):
    """A row that cannot be used: `reason` is the short code under which rejects are counted."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


@dataclass(frozen=True)
class Refused:
    """A row that becomes a reject."""

    row: SourceRow
    reason: str
    detail: str


@dataclass(frozen=True)
class FormatOptions:
    """What the importer's config says about the file.

    `columns` holds the column of every role that the format lets the config rename, "" where the file has none;
    `labels` says what the values of the label column mean; `dimension` "" leaves the choice to the format.
    """

    dimension: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


Outcome = Comparison | Refused
Reader = Callable[[Iterable[SourceRow], FormatOptions], Iterator[Outcome]]


@dataclass(frozen=True)
class Format:
    """A preference format: which files it reads, which columns they must have, and how rows become comparisons.

    `columns` maps roles that the config may rename to their usual columns; `has_labels` lets the config say what the
    label column's values mean. `paths` are columns (or roles) that hold a path: it is brought to one spelling before
    rows are compared. `hint` is shown where a column is missing.
    """

    read: Reader
    required: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    has_labels: bool = False
    task: str = "t2i"
    suffixes: tuple[str, ...] = SUFFIXES
    hint: str = ""


def each_row(parse: Callable[[SourceRow, FormatOptions], Comparison | list[Comparison]]) -> Reader:
    """A reader for formats whose comparisons come from one row each; a RowError refuses that row only."""

    def read(rows: Iterable[SourceRow], options: FormatOptions) -> Iterator[Outcome]:
        for row in rows:
            try:
                found = parse(row, options)
            except RowError as error:
                yield Refused(row, error.reason, str(error))
                continue
            yield from found if isinstance(found, list) else [found]

    return read


def text_of(row: SourceRow, column: str) -> str:
    """A text field that must not be empty."""
    value = row.fields.get(column)
    if not isinstance(value, str) or not value.strip():
        raise RowError("missing_field", f"no {column}, got {value!r}")
    return value


def label_of(row: SourceRow, column: str, meaning: dict[str, SideLabel]) -> SideLabel:
    """What the value of `column` means; raises RowError for one that the format does not know."""
    value: Any = row.fields.get(column)
    if not isinstance(value, str) or value.strip() not in meaning:
        raise RowError("bad_label", f"{column} is {value!r}, expected one of {', '.join(meaning)}")
    return meaning[value.strip()]


def clean_path(path: str) -> str:
    """One spelling of a relative path: `./videos/a.mp4` and `videos//a.mp4` are `videos/a.mp4`."""
    return posixpath.normpath(path.strip().replace("\\", "/"))
