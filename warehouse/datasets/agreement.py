"""How far raters agree on the pairs of a version: Krippendorff's alpha by task and dimension, with its interval.

alpha = 1 - observed / expected disagreement of nominal labels, from the coincidence matrix of all votes that share a
pair (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"). Millions of pairs show only some hundred
patterns of counts, so the database counts patterns; drawing whole pairs anew is a multinomial draw over patterns, which
costs the same for any number of pairs.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warehouse.catalog import Warehouse
from warehouse.datasets.versions import counted_sql, find_version, votes_at
from warehouse.errors import InvalidInputError
from warehouse.views import using

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SPLIT_BY = ("source", "guideline_version", "label_config_id", "annotator_kind", "split")
_LEVEL = 0.95
_PATTERNS = """
SELECT task, dimension, part, n_a, n_b, n_tie, n_both_bad, count(*) AS pairs FROM (
    SELECT p.task, v.dimension, {part} AS part, v.pair_id, count(*) FILTER (v.label = 'a') AS n_a,
        count(*) FILTER (v.label = 'b') AS n_b, count(*) FILTER (v.label = 'tie') AS n_tie,
        count(*) FILTER (v.label = 'both_bad') AS n_both_bad
    FROM (SELECT * FROM sample_votes WHERE {counted}) v JOIN pairs p USING (pair_id)
    WHERE v.name = $1 AND v.version = $2 AND NOT v.gold GROUP BY ALL
) GROUP BY ALL ORDER BY ALL
"""


def _coincidences(patterns: Ints) -> Floats:
    """What one pair of each pattern adds to the coincidence matrix, [P, K * K]; patterns have at least two votes."""
    counts = patterns.astype(np.float64)
    products = counts[:, :, None] * counts[:, None, :]
    labels = np.arange(counts.shape[1])
    products[:, labels, labels] -= counts
    flat: Floats = (products / (counts.sum(axis=1) - 1.0)[:, None, None]).reshape(len(counts), -1)
    return flat


def _alphas(flat: Floats, labels: int) -> Floats:
    """alpha of coincidence matrices [B, K * K]; NaN where no disagreement is to be expected."""
    matrices = flat.reshape(-1, labels, labels)
    totals = matrices.sum(axis=2)
    n = totals.sum(axis=1)
    observed = n - np.trace(matrices, axis1=1, axis2=2)
    expected = n**2 - (totals**2).sum(axis=1)
    ratio = np.divide((n - 1.0) * observed, expected, out=np.full(len(n), np.nan), where=expected > 0)
    values: Floats = 1.0 - ratio
    return values


def alpha_of_patterns(
    patterns: Ints, pairs: Ints, resamples: int = 400, seed: int = 0
) -> tuple[float | None, tuple[float, float] | None]:
    """Alpha and its 95 % interval of label counts [P, K], pattern p being shown by pairs[p] pairs.

    None where it is not defined: no pair with two votes, or one label everywhere.
    """
    shared = patterns.sum(axis=1) > 1
    patterns, pairs = patterns[shared], pairs[shared]
    if not len(patterns):
        return None, None
    flat, total, labels = _coincidences(patterns), int(pairs.sum()), patterns.shape[1]
    value = float(_alphas(pairs.astype(np.float64) @ flat, labels)[0])
    if np.isnan(value):
        return None, None
    draws = np.random.default_rng(seed).multinomial(total, pairs / total, size=resamples)
    low, high = np.nanquantile(_alphas(draws @ flat, labels), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return value, (float(low), float(high))


def _raw(patterns: Ints, pairs: Ints) -> float | None:
    """Share of pairs of votes on one pair that say the same."""
    votes = patterns.sum(axis=1)
    possible = float((pairs * votes * (votes - 1)).sum())
    return float((pairs * (patterns * (patterns - 1)).sum(axis=1)).sum()) / possible if possible else None


def agreement(warehouse: Warehouse, reference: str, by: str = "") -> list[dict[str, Any]]:
    """Rows {task, dimension, [by], votes, pairs, alpha, ci_low, ci_high, same}, gold items left out.

    Votes are those that the version's build counted. `same` is the plain share of vote pairs with one label; `by` (one
    of SPLIT_BY) also splits by that column. Raises NotFoundError, InvalidInputError.
    """
    if by and by not in SPLIT_BY:
        raise InvalidInputError(f"cannot split agreement by {by!r}", hint=f"one of {', '.join(SPLIT_BY)}")
    version = find_version(warehouse, reference)
    patterns = _PATTERNS.format(part=f"v.{by}" if by else "NULL", counted=counted_sql(warehouse, version))
    sql = using(patterns, votes_at(warehouse, version))
    groups: dict[tuple[Any, ...], list[tuple[int, ...]]] = defaultdict(list)
    for task, dimension, part, *counts in (
        row.values() for row in warehouse.rows(sql, [version["name"], version["version"]])
    ):
        groups[task, dimension, part].append(tuple(counts))
    return [_measured(group, np.array(rows, np.int64), by) for group, rows in groups.items()]


def _measured(group: tuple[Any, ...], rows: Ints, by: str) -> dict[str, Any]:
    patterns, pairs = rows[:, :-1], rows[:, -1]
    value, interval = alpha_of_patterns(patterns, pairs)
    same = _raw(patterns, pairs)
    return {
        "task": group[0],
        "dimension": group[1],
        **({by: group[2]} if by else {}),
        "votes": int((patterns.sum(axis=1) * pairs).sum()),
        "pairs": int(pairs.sum()),
        "alpha": None if value is None else round(value, 6),
        "ci_low": None if interval is None else round(interval[0], 6),
        "ci_high": None if interval is None else round(interval[1], 6),
        "same": None if same is None else round(same, 6),
    }
