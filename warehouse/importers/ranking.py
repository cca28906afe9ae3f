"""The one place where ranks and scores become pairs.

Pairs come only from within one group: one ranking row, or what one rater said about one prompt, because one rater's 3
is another one's 4. Equal scores are ties. Ratings arrive a row at a time and in any order; a group holds names and
scores, never pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from warehouse.importers.comparison import (
    Comparison,
    Embedded,
    FormatOptions,
    Item,
    Outcome,
    Reader,
    Refused,
    RowError,
    SideLabel,
)
from warehouse.importers.source_row import SourceRow


@dataclass(frozen=True, slots=True)
class Scored:
    """An item with its score a dimension; larger is better."""

    row: SourceRow
    item: Item
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Rating:
    """A row that rates one item. `of` is how many items its group has, 0 where the file does not say.

    `group` tells groups of one prompt apart, as a rater does.
    """

    scored: Scored
    prompt: str
    prompt_item: str
    rater: str | None = None
    group: str = ""
    of: int = 0


def better(first: float, second: float) -> SideLabel:
    """Larger is better."""
    if first == second:
        return "tie"
    return "first" if first > second else "second"


def pairs_of(
    scored: Sequence[Scored], prompt: str, prompt_item: str, rater: str | None = None, one_vote: bool = False
) -> Iterator[Comparison]:
    """Every pair of a group, labelled in the dimensions that both items have; none where they share none."""
    for x, y in combinations(scored, 2):
        labels = {name: better(score, y.scores[name]) for name, score in x.scores.items() if name in y.scores}
        if labels:
            rows = (x.row,) if x.row is y.row else (x.row, y.row)
            yield Comparison(rows, prompt, prompt_item, x.item, y.item, labels, rater, one_vote)


def ranked(row: SourceRow, paths: Sequence[Item], ranks: object, dimension: str) -> list[Scored]:
    """Items with ranks, 1 is best; raises RowError where the two do not belong together."""
    if not isinstance(ranks, list):
        raise RowError("missing_field", "the ranks are no list")
    if len(paths) != len(ranks) or len(paths) < 2:
        raise RowError("bad_ranking", f"{len(paths)} items and {len(ranks)} ranks")
    if not all(isinstance(rank, int) and not isinstance(rank, bool) and rank >= 1 for rank in ranks):
        raise RowError("bad_ranking", f"ranks are whole numbers from 1, got {ranks}"[:300])
    if len({item.name for item in paths}) < len(paths):
        raise RowError("bad_ranking", "one item stands twice in the ranking")
    return [Scored(row, item, {dimension: -rank}) for item, rank in zip(paths, ranks, strict=True)]


class _Group:
    """Ratings of one prompt by one rater, items by name."""

    def __init__(self, first: Rating) -> None:
        self.first = first
        self.scored: dict[str, Scored] = {}

    def add(self, rating: Rating) -> None:
        scored = rating.scored
        before = self.scored.get(scored.item.name)
        if before is not None:
            rater = rating.rater or "somebody"
            raise RowError("repeated_rating", f"{rater} rated {scored.item.name} before, in {before.row.location}")
        light = replace(scored.item, data=None)
        self.scored[scored.item.name] = Scored(scored.row.bare(), light, scored.scores)

    def outcomes(self) -> Iterator[Outcome]:
        scored = list(self.scored.values())
        if len(scored) == 1:
            yield Refused(scored[0].row, "nothing_to_compare", f"one item of {self.first.prompt}"[:300])
        # A group that comes again, in another file of the same source, is the same vote again.
        yield from pairs_of(scored, self.first.prompt, self.first.prompt_item, self.first.rater, one_vote=True)


def grouped(rate: Callable[[SourceRow, FormatOptions], Rating]) -> Reader:
    """A reader for formats with one rated item a row: groups end when they are complete, else with the file."""

    def read(rows: Iterable[SourceRow], options: FormatOptions) -> Iterator[Outcome]:
        groups: dict[tuple[str | None, str, str], _Group] = {}
        for row in rows:
            try:
                rating = rate(row, options)
                key = (rating.rater, rating.group, rating.prompt)
                group = groups.setdefault(key, _Group(rating))
                group.add(rating)
            except RowError as error:
                yield Refused(row, error.reason, str(error))
                continue
            if rating.scored.item.data is not None:
                yield Embedded(row, rating.scored.item)
            if rating.of and len(group.scored) == rating.of:
                yield from groups.pop(key).outcomes()
        for group in groups.values():
            yield from group.outcomes()

    return read
