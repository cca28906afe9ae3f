"""The one form that every preference format is read into: two items, one prompt, one label a dimension.

A format is a function from rows to comparisons. It decides what a label means and which item a row speaks of; it does
not touch the warehouse or the disk, so that each trap of a public dataset can be tested on plain rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from warehouse.importers.rows import SUFFIXES
from warehouse.importers.source_row import SourceRow

SideLabel = Literal["first", "second", "tie", "both_bad"]
SIDE_LABELS: tuple[SideLabel, ...] = get_args(SideLabel)


@dataclass(frozen=True, slots=True)
class Item:
    """One side: `name` identifies it in its source; media come as `data`, or from the file `path`, or not at all.

    `elsewhere` are places where the file may lie instead. An item whose bytes were handed over before, as Embedded,
    has neither.
    """

    name: str
    model: str = "unknown"
    path: str = ""
    data: bytes | None = None
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remark:
    """A text about a comparison with the verdict it came to, by a judge `model` or the `person` who voted."""

    author: str
    verdict: SideLabel
    text: str
    author_kind: Literal["model", "person"] = "model"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two items under one prompt. `rater` None = nobody known: `source:<name>`, and one more person for each repeat.

    `one_vote`: the source holds one vote a pair, a repeat is that vote again. `sided`: first stood left on the rater's
    screen. `condition` is the picture that was edited or animated. `rows` are the source rows it was read from.
    """

    rows: tuple[SourceRow, ...]
    prompt: str
    prompt_item: str
    first: Item
    second: Item
    labels: Mapping[str, SideLabel]
    rater: str | None = None
    one_vote: bool = False
    sided: bool = False
    remark: Remark | None = None
    condition: Item | None = None
    seconds: float | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """Bytes of an item that comparisons will name later: they are stored now, so that no format holds pictures."""

    row: SourceRow
    item: Item


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that becomes a reject, whole or in part."""

    row: SourceRow
    reason: str
    detail: str


class RowError(ValueError):
    """A row that cannot be used: `reason` is the short code under which rejects are counted."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


@dataclass(frozen=True)
class FormatOptions:
    """What the importer's config says about the file.

    `columns` holds the column of every role that the format lets the config rename, "" where the file has none;
    `labels` says what the values of the label column mean; `dimension` "" leaves the choice to the format;
    `min_confidence`, `prompts` (text by item) and `annotators` serve the formats that have use for them.
    """

    dimension: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    min_confidence: float = 0.0
    prompts: Mapping[str, str] = field(default_factory=dict)
    annotators: bool = False


Outcome = Comparison | Embedded | Refused
Reader = Callable[[Iterable[SourceRow], FormatOptions], Iterator[Outcome]]


@dataclass(frozen=True)
class Licence:
    """The licence under which a source is published; "" where its publisher names none."""

    name: str = ""
    url: str = ""
    non_commercial: bool = False


@dataclass(frozen=True)
class Format:
    """A preference format: which files it reads, which columns they must have, and how rows become comparisons.

    `columns` maps roles that the config may rename to their usual columns; `has_labels` lets the config say what the
    label column's values mean. `paths` are columns (or roles) that hold a path: it is brought to one spelling before
    rows are compared. `skip` names folders that hold other things. `hint` is shown where a column is missing.
    `expected` are reasons for which whole public datasets leave rows out: they do not count against the reject limit.
    `read` is None for the one format whose rows need no Python: the config's columns say it all (table.py).
    """

    read: Reader | None
    required: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    has_labels: bool = False
    task: str = "t2i"
    suffixes: tuple[str, ...] = SUFFIXES
    skip: tuple[str, ...] = ()
    licence: Licence = Licence()
    hint: str = ""
    expected: tuple[str, ...] = ()


def each_row(parse: Callable[[SourceRow, FormatOptions], Comparison | Iterable[Outcome]]) -> Reader:
    """A reader for formats whose comparisons come from one row each; a RowError refuses the rest of that row only."""

    def read(rows: Iterable[SourceRow], options: FormatOptions) -> Iterator[Outcome]:
        for row in rows:
            try:
                found = parse(row, options)
                if isinstance(found, Comparison):
                    yield found
                else:
                    yield from found
            except RowError as error:
                yield Refused(row, error.reason, str(error))

    return read
