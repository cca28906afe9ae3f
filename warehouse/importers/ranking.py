"""Rankings and ratings as pairs: ImageReward's ranked generations, and Likert scores.

`imagereward-ranking` (arXiv 2304.05977, data/test.json): rank 1 is best, equal ranks are ties; pairs only from within
one row, one vote a pair. `likert-csv`: absolute scores; pairs only from within one rater and one prompt, because one
rater's 3 is another one's 4; equal scores are ties. The columns are those of TIFA-160 unless `columns` renames them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import combinations

from warehouse.importers.comparison import (
    Comparison,
    Format,
    FormatOptions,
    Item,
    Outcome,
    Refused,
    RowError,
    SideLabel,
    clean_path,
    each_row,
    text_of,
)
from warehouse.importers.rows import SourceRow

_LIKERT_COLUMNS = {"prompt": "item_id", "model": "t2i_model", "rater": "worker_id", "score": "answer", "path": ""}


def _better(first: float, second: float) -> SideLabel:
    """Larger is better."""
    if first == second:
        return "tie"
    return "first" if first > second else "second"


def _ranks(row: SourceRow) -> list[tuple[str, int]]:
    """(path, rank) of every generation; raises RowError where the two lists do not belong together."""
    paths, ranks = row.fields.get("generations"), row.fields.get("ranking")
    if not isinstance(paths, list) or not isinstance(ranks, list):
        raise RowError("missing_field", "generations and ranking are lists")
    if len(paths) != len(ranks) or len(paths) < 2:
        raise RowError("bad_ranking", f"{len(paths)} generations and {len(ranks)} ranks")
    if not all(isinstance(rank, int) and rank >= 1 for rank in ranks):
        raise RowError("bad_ranking", f"ranks are whole numbers from 1, got {ranks}")
    if not all(isinstance(path, str) and path.strip() for path in paths):
        raise RowError("missing_field", "a generation without a path")
    cleaned = [clean_path(path) for path in paths]
    if len(set(cleaned)) < len(cleaned):
        raise RowError("bad_ranking", "one generation stands twice in the ranking")
    return list(zip(cleaned, ranks, strict=True))


def _ranked(row: SourceRow, options: FormatOptions) -> list[Comparison]:
    prompt, item = text_of(row, "prompt"), str(row.fields.get("id") or row.location)
    dimension = options.dimension or "overall"
    return [
        Comparison(
            rows=(row,),
            prompt=prompt,
            prompt_item=item,
            first=Item(path_x, path=path_x),
            second=Item(path_y, path=path_y),
            labels={dimension: _better(-rank_x, -rank_y)},
        )
        for (path_x, rank_x), (path_y, rank_y) in combinations(_ranks(row), 2)
    ]


def _score(row: SourceRow, column: str) -> float:
    try:
        value = float(row.fields[column])
    except (KeyError, TypeError, ValueError) as error:
        raise RowError("bad_score", f"{column} is {row.fields.get(column)!r}, expected a number") from error
    if not math.isfinite(value):
        raise RowError("bad_score", f"{column} is {value}")
    return value


_Rating = tuple[SourceRow, Item, float]
_Groups = dict[tuple[str, str], dict[str, _Rating]]


def _add_rating(groups: _Groups, row: SourceRow, names: dict[str, str]) -> None:
    prompt, rater, model = (text_of(row, names[key]) for key in ("prompt", "rater", "model"))
    path = clean_path(text_of(row, names["path"])) if names["path"] else ""
    item = Item(path or f"{prompt}/{model}", model, path)
    ratings = groups.setdefault((rater, prompt), {})
    score = _score(row, names["score"])
    if item.name in ratings:
        raise RowError("repeated_rating", f"{rater} rated {item.name} before, in {ratings[item.name][0].location}")
    ratings[item.name] = (row, item, score)


def _likert(rows: Iterable[SourceRow], options: FormatOptions) -> Iterator[Outcome]:
    groups: _Groups = {}
    for row in rows:
        try:
            _add_rating(groups, row, options.columns)
        except RowError as error:
            yield Refused(row, error.reason, str(error))
    for (rater, prompt), ratings in groups.items():
        if len(ratings) == 1:
            [(row, _, _)] = ratings.values()
            yield Refused(row, "nothing_to_compare", f"{rater} rated one item of {prompt}")
        for (row_x, first, score_x), (row_y, second, score_y) in combinations(ratings.values(), 2):
            label = {options.dimension or "text_alignment": _better(score_x, score_y)}
            yield Comparison((row_x, row_y), prompt, prompt, first, second, label, rater)


IMAGEREWARD = Format(each_row(_ranked), ("prompt", "generations", "ranking"), suffixes=(".json", ".jsonl"))
LIKERT = Format(_likert, columns=_LIKERT_COLUMNS, suffixes=(".csv", ".tsv"))
