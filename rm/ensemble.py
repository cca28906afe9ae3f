"""Stage `ensemble`: a few linear Bradley-Terry heads on cached features, each on its own resample of the votes.

log-odds(a beats b) = w . (x_a - x_b); each head maximises the likelihood of the consensus shares, weighted by votes,
minus a ridge (Newton's method, the loss is convex). Where heads disagree about a pair the votes so far do not settle
it (Lakshminarayanan et al. 2017, with bootstrap resamples): the rows of rewards that this stage writes for each couple
of a prompt hold the mean chance and, as uncertainty, the standard deviation of the log-odds over heads. Pairing reads
them (annotation/standings.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import content_id
from warehouse.records import Row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

Floats = NDArray[np.float64]
_STEPS = 12
_ROWS = 20_000


class EnsembleConfig(StageConfig):
    """Features by their `feature_id`, a consensus to learn from, and the couples to judge (all of a task and source).

    `ridge` is the precision of each weight's normal prior for features of unit variance; at most `per_prompt`
    candidates of a prompt, by id, are compared.
    """

    feature_id: str
    consensus_id: str
    task: str = "t2i"
    dimension: str = "overall"
    source: str = ""
    heads: int = Field(default=8, ge=2)
    ridge: float = Field(default=10.0, gt=0.0)
    per_prompt: int = Field(default=16, ge=2)
    seed: int = 0


def fit_heads(gap: Floats, p_a: Floats, votes: Floats, heads: int, ridge: float, seed: int = 0) -> Floats:
    """Weights [heads, D] from differences of features x_a - x_b [P, D], consensus shares and vote counts [P].

    The first head learns from all pairs, each other one from pairs drawn with replacement. No pairs give zeros.
    """
    rng, size = np.random.default_rng(seed), len(gap)
    weights = np.zeros((heads, gap.shape[1]))
    for head in range(heads if size else 0):
        drawn = np.ones(size) if head == 0 else rng.multinomial(size, np.full(size, 1.0 / size)).astype(np.float64)
        weights[head] = _newton(gap[drawn > 0], p_a[drawn > 0], (drawn * votes)[drawn > 0], ridge)
    return weights


def _newton(gap: Floats, p_a: Floats, weight: Floats, ridge: float) -> Floats:
    found: Floats = np.zeros(gap.shape[1])
    for _ in range(_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(gap @ found, -30.0, 30.0)))
        slope = gap.T @ (weight * (p_a - chance)) - ridge * found
        curve = (gap * (weight * chance * (1.0 - chance))[:, None]).T @ gap
        step = np.linalg.solve(curve + ridge * np.eye(len(found)), slope)
        found = found + step
        if np.abs(step).max() < 1e-4:
            break
    return found


def judged(weights: Floats, gap: Floats) -> tuple[Floats, Floats]:
    """Mean chance that a wins and the standard deviation of its log-odds over heads, [P] each."""
    odds = gap @ weights.T
    return (1.0 / (1.0 + np.exp(-np.clip(odds, -30.0, 30.0)))).mean(axis=1), odds.std(axis=1, ddof=1)


_LEARNED = """
SELECT f.p_a, f.n_votes, a.vector AS a, b.vector AS b FROM preferences f JOIN pairs r USING (pair_id)
JOIN embeddings a ON a.candidate_id = r.candidate_a AND a.model_id = ?
JOIN embeddings b ON b.candidate_id = r.candidate_b AND b.model_id = ?
WHERE f.consensus_id = ? AND f.dimension = ? AND r.task = ? ORDER BY f.preference_id
"""
_PROMPTS = """
SELECT c.prompt_id, list(c.candidate_id ORDER BY c.candidate_id)[1:?] AS candidates,
  list(e.vector ORDER BY c.candidate_id)[1:?] AS vectors
FROM candidates c JOIN embeddings e ON e.candidate_id = c.candidate_id AND e.model_id = ?
WHERE c.task = ? AND (? = '' OR c.source = ?) AND c.prompt_id > ? GROUP BY 1 ORDER BY 1 LIMIT 200
"""


def _chunks(warehouse: Warehouse, config: EnsembleConfig) -> Iterator[list[Row]]:
    after = ""
    most = config.per_prompt
    while rows := warehouse.rows(_PROMPTS, [most, most, config.feature_id, config.task, config.source, config.source,
                                            after]):
        after = rows[-1]["prompt_id"]
        yield rows


def _rows(config: EnsembleConfig, model_id: str, weights: Floats, prompts: Sequence[Row]) -> list[Row]:
    """Rows of rewards of all couples of these prompts."""
    couples = [(row["prompt_id"], row["candidates"][i], row["candidates"][j], np.array(row["vectors"][i]) - np.array(
        row["vectors"][j])) for row in prompts for i, j in itertools.combinations(range(len(row["candidates"])), 2)]
    if not couples:
        return []
    values, doubts = judged(weights, np.stack([gap for *_, gap in couples]))
    return [{"reward_id": content_id("ensemble reward", model_id, x, y), "model_id": model_id, "prompt_id": prompt,
             "candidate_id": x, "reference_id": y, "dimension": config.dimension, "value": float(value),
             "uncertainty": float(doubt)}
            for (prompt, x, y, _), value, doubt in zip(couples, values, doubts, strict=True)]


def run(config: EnsembleConfig, warehouse: Warehouse) -> Receipt:
    """Write rewards; outputs `reward_model`, the id for pairing. ConfigError where no pair has features and votes."""
    learned = warehouse.table(_LEARNED, [config.feature_id, config.feature_id, config.consensus_id, config.dimension,
                                         config.task])
    if learned.num_rows == 0:
        raise ConfigError(f"no pair of consensus {config.consensus_id!r} has features {config.feature_id!r}",
                          hint="run candidate_features and consensus first")
    digest = warehouse.digest("SELECT embedding_id FROM embeddings WHERE model_id = ?", [config.feature_id])
    model_id = content_id("ensemble", config.consensus_id, config.feature_id, config.dimension, config.heads,
                          config.ridge, config.seed, digest)

    def body(recorder: Recorder) -> None:
        a, b = (np.array(learned[name].to_pylist(), np.float64) for name in ("a", "b"))
        p_a, votes = (learned[name].to_numpy().astype(np.float64) for name in ("p_a", "n_votes"))
        weights = fit_heads(a - b, p_a, votes, config.heads, config.ridge, config.seed)
        recorder.count("read", len(p_a))
        for prompts in _chunks(warehouse, config):
            made = _rows(config, model_id, weights, prompts)
            for start in range(0, len(made), _ROWS):
                recorder.count("rewards", warehouse.merge("rewards", made[start : start + _ROWS],
                                                          run_id=recorder.run_id))
        recorder.output("reward_model", model_id)

    return run_stage("ensemble", config, warehouse, {"embeddings": digest, "consensus": config.consensus_id}, body)
