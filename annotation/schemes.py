"""Stage `pass_fail`: preferences from pass and fail, and how well people agree in both schemes, side by side.

For every pair whose two items were judged, p(a beats b) = 1/2 + (share of a that passed - share of b) / 2, each share
with one vote's worth of doubt (Laplace), and p_tie is the chance that both or neither pass. Alpha and raw agreement of
the items stand beside those of votes on pairs of the same task and dimension: which question do people answer alike?
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from annotation.agreement import alpha, alpha_interval, raw_agreement
from annotation.ballots import Ints
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import canonical_json, content_id
from warehouse.records import ITEM_LABELS, LABELS
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_DIGITS = 6


class PassFailConfig(StageConfig):
    """Item votes of a task, in these dimensions (none = all); pairs chosen by these strategies (none = any)."""

    task: str = "t2i"
    dimensions: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ("cross_prompt",)
    resamples: int = Field(default=400, ge=10)
    seed: int = 0


_DIMENSIONS = """
SELECT DISTINCT v.dimension FROM votes v JOIN candidates c USING (candidate_id)
WHERE c.task = ? AND NOT coalesce(v.deleted, false) AND (len(?) = 0 OR list_contains(?, v.dimension)) ORDER BY 1
"""
_PREFERENCES = """
WITH items AS (
    SELECT v.candidate_id, sum(CAST(v.label = 'pass' AS INTEGER)) AS passed, count(*) AS votes
    FROM votes v WHERE v.candidate_id IS NOT NULL AND v.dimension = ? AND NOT coalesce(v.deleted, false) GROUP BY 1
)
SELECT r.pair_id, (a.passed + 0.5) / (a.votes + 1) AS a, (b.passed + 0.5) / (b.votes + 1) AS b,
  CAST(a.votes + b.votes AS INTEGER) AS n_votes
FROM pairs r JOIN items a ON a.candidate_id = r.candidate_a JOIN items b ON b.candidate_id = r.candidate_b
WHERE r.task = ? AND (len(?) = 0 OR list_contains(?, r.strategy)) ORDER BY r.pair_id
"""
_COUNTS = {
    "items": ("""
        SELECT {columns} FROM votes v JOIN candidates c USING (candidate_id)
        WHERE c.task = ? AND v.dimension = ? AND NOT coalesce(v.deleted, false) GROUP BY v.candidate_id
        ORDER BY v.candidate_id""", ITEM_LABELS),
    "pairs": ("""
        SELECT {columns} FROM votes v JOIN pairs r USING (pair_id) LEFT JOIN annotation_tasks t USING (task_id)
        WHERE r.task = ? AND v.dimension = ? AND NOT coalesce(v.deleted, false) AND NOT coalesce(t.gold, false)
          AND t.repeat_of IS NULL GROUP BY v.pair_id ORDER BY v.pair_id""", LABELS),
}


def label_counts(warehouse: Warehouse, scheme: str, task: str, dimension: str) -> Ints:
    """Votes of each label for each item or pair, [N, K]; counted in the warehouse."""
    query, labels = _COUNTS[scheme]
    columns = ", ".join(f"sum(CAST(v.label = '{label}' AS INTEGER)) AS l{at}" for at, label in enumerate(labels))
    table = warehouse.table(query.format(columns=columns), [task, dimension])
    return np.stack([table[name].to_numpy().astype(np.int64) for name in table.column_names], axis=1)


def agreement_of(counts: Ints, seed: int = 0, resamples: int = 400) -> dict[str, Any]:
    """Alpha with its interval (95 %), raw agreement, and on how much they stand."""
    value, interval, raw = alpha(counts), alpha_interval(counts, seed, resamples), raw_agreement(counts)
    return {
        "alpha": None if value is None else round(value, _DIGITS),
        "ci": None if interval is None else [round(end, _DIGITS) for end in interval],
        "raw": None if raw is None else round(raw, _DIGITS),
        "votes": int(counts.sum()),
        "judged": int((counts.sum(axis=1) > 1).sum()),
    }


def side_by_side(warehouse: Warehouse, task: str, dimensions: Sequence[str], seed: int = 0, resamples: int = 400
                 ) -> dict[str, dict[str, Any]]:
    """{dimension: {"items": …, "pairs": …}} of a task."""
    return {name: {scheme: agreement_of(label_counts(warehouse, scheme, task, name), seed, resamples)
                   for scheme in _COUNTS} for name in dimensions}


def run(config: PassFailConfig, warehouse: Warehouse) -> Receipt:
    """Write preferences of a consensus run of method `pass_fail`; outputs consensus_id and `agreement`."""
    wanted = list(config.dimensions)
    dimensions = [row["dimension"] for row in warehouse.rows(_DIMENSIONS, [config.task, wanted, wanted])]
    if not dimensions:
        raise ConfigError(f"no item of {config.task} has been passed or failed", hint="rewarddance annotate items")
    strategies = list(config.strategies)
    asked = {name: [name, config.task, strategies, strategies] for name in dimensions}
    inputs = {f"items:{name}": warehouse.digest(_PREFERENCES, params) for name, params in asked.items()}
    agreement = side_by_side(warehouse, config.task, dimensions, config.seed, config.resamples)
    inputs["agreement"] = content_id("agreement", canonical_json(agreement))
    identity = {name: value for name, value in config.identity().items() if name != "reject_limit"}
    consensus_id = content_id("pass_fail", canonical_json(identity), canonical_json(inputs))

    def body(recorder: Recorder) -> None:
        made = [
            {
                "preference_id": content_id("preference", consensus_id, row["pair_id"], name),
                "consensus_id": consensus_id,
                "pair_id": row["pair_id"],
                "dimension": name,
                "p_a": round(0.5 + (row["a"] - row["b"]) / 2, _DIGITS),
                "p_tie": round(row["a"] * row["b"] + (1 - row["a"]) * (1 - row["b"]), _DIGITS),
                "n_votes": row["n_votes"],
                **dict.fromkeys(("n_a", "n_b", "n_tie", "n_both_bad"), 0),
                "split_population": False,
            }
            for name, params in asked.items()
            for row in warehouse.rows(_PREFERENCES, params)
        ]
        items = {name: part["items"] for name, part in agreement.items()}
        used = {
            "consensus_id": consensus_id,
            "method": "pass_fail",
            "params_json": canonical_json(identity),
            "input_digest": content_id("inputs", canonical_json(inputs)),
            "n_votes": sum(part["votes"] for part in items.values()),
            "n_pairs": len({row["pair_id"] for row in made}),
            "agreement_json": canonical_json(items),
            "raters_json": "{}",
        }
        with warehouse.commit(f"pass_fail {consensus_id}"):
            recorder.count("preferences", warehouse.merge("preferences", made, run_id=recorder.run_id))
            warehouse.merge("consensus_runs", [used], run_id=recorder.run_id)
        recorder.count("read", used["n_votes"])
        recorder.output("consensus_id", consensus_id)
        recorder.output("n_pairs", used["n_pairs"])
        recorder.output("agreement", agreement)

    return run_stage("pass_fail", config, warehouse, inputs, body)
