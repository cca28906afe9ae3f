"""Stage `gold search`: how good is what best-of-N chooses, on held-out prompts, beside what gold would have chosen."""

from __future__ import annotations

import numpy as np

from alignment.search import chosen
from rm.statistics import bootstrap_mean
from simulation.evaluate.golden import by_prompt, judge
from warehouse import Warehouse
from warehouse.errors import NotFoundError
from warehouse.hashing import content_id
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage


class GoldSearchConfig(StageConfig):
    """A finished search (its key) over candidates of `generator_id`."""

    search_key: str
    generator_id: str
    source: str = "held_out"
    taste: str = "large_warm"
    n: tuple[int, ...] = (1, 4, 16)


def run(config: GoldSearchConfig, warehouse: Warehouse) -> Receipt:
    """Outputs gold {N: mean}, gold_ci {N: [low, high]}, gold_oracle {N: mean of the truly best}, n_prompts.

    Raises NotFoundError where the search compared nothing.
    """
    digest = warehouse.digest("SELECT * FROM rewards WHERE starts_with(reward_id, ?)", [f"{config.search_key}-"])

    def body(recorder: Recorder) -> None:
        groups = by_prompt(judge(warehouse, config.generator_id, config.source, config.taste))
        gold: dict[str, float] = {}
        intervals: dict[str, list[float]] = {}
        oracle: dict[str, float] = {}
        for n in config.n:
            picks = chosen(warehouse, config.search_key, n)
            if not picks:
                raise NotFoundError("the search has no rewards", where=config.search_key[:12])
            values = [next(item.overall for item in groups[prompt] if item.candidate_id == candidate)
                      for prompt, candidate in picks.items()]
            estimate = bootstrap_mean(values, list(picks))
            gold[str(n)], intervals[str(n)] = estimate.value, [estimate.ci_low, estimate.ci_high]
            oracle[str(n)] = float(np.mean([max(item.overall for item in groups[prompt][:n]) for prompt in picks]))
            recorder.count("read", len(picks))
        recorder.output("gold", gold)
        recorder.output("gold_ci", intervals)
        recorder.output("gold_oracle", oracle)
        recorder.output("n_prompts", len(picks))

    return run_stage("gold_search", config, warehouse, {"rewards": digest, "gold": content_id(config.taste)}, body)
