"""How often each generator wins in a version: its share of comparisons with other generators, by task and dimension.

A sample counts with its P(a beats b), so a tie counts half and a doubtful pair little; the interval is Wilson's (1927)
on that share. Left out on purpose: strength against strength (a Bradley-Terry fit), which is annotation's.
"""

from __future__ import annotations

import math
from typing import Any

from warehouse.catalog import Warehouse
from warehouse.datasets.versions import find_version
from warehouse.views import using

_Z = 1.959963984540054
_SIDES = """
SELECT task, dimension, generator, opponent, sum(share) AS wins, count(*) AS n FROM (
    SELECT task, dimension, generator_name_a AS generator, generator_name_b AS opponent, p_a AS share
    FROM dataset_samples WHERE name = $1 AND version = $2 AND generator_name_a <> generator_name_b
    UNION ALL
    SELECT task, dimension, generator_name_b, generator_name_a, 1 - p_a
    FROM dataset_samples WHERE name = $1 AND version = $2 AND generator_name_a <> generator_name_b
) GROUP BY GROUPING SETS ((task, dimension, generator), (task, dimension, generator, opponent))
ORDER BY task, dimension, generator, opponent NULLS FIRST
"""


def wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of n > 0."""
    centre, width = share + _Z**2 / (2 * n), _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    scale = 1 + _Z**2 / n
    return max(0.0, (centre - width) / scale), min(1.0, (centre + width) / scale)


def win_rates(warehouse: Warehouse, reference: str) -> list[dict[str, Any]]:
    """Rows {task, dimension, generator, opponent, n, win_rate, ci_low, ci_high}; opponent null means all others.

    Raises NotFoundError. A version whose pairs are all of one generator has no rows.
    """
    version = find_version(warehouse, reference)
    rows = warehouse.rows(using(_SIDES), [version["name"], version["version"]])
    found = []
    for row in rows:
        share = min(1.0, max(0.0, row.pop("wins") / row["n"]))
        low, high = wilson(share, row["n"])
        found.append(row | {"win_rate": round(share, 4), "ci_low": round(low, 4), "ci_high": round(high, 4)})
    return found
