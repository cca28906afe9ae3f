"""Stage `gold accuracy`: does a reward model prefer, of two of the generator's own samples, the one that is better.

Pairs come from held-out prompts, drawn uniformly among those whose gold differs by more than `min_gap`. A model's
choice is the mean of both orders' log-odds. `accuracy_taste` asks the same where only the look counts: pairs that
differ in size and warmth, judged by the population's preference for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rm.context import Frames
from rm.reward_model import PairItem, RewardModel, frames_of, load_reward_model
from rm.statistics import Estimate, bootstrap_mean, paired_bootstrap
from simulation.evaluate.golden import Judged, by_prompt, judge
from warehouse import Warehouse
from warehouse.hashing import content_id
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

Pair = tuple[Judged, Judged]


class GoldAccuracyConfig(StageConfig):
    """`model` on candidates of `generator_id` for prompts of `source`, beside the pretrained `base` it began from.

    Without a `base` nothing is compared: only the model's own estimates are made.
    """

    model: str
    base: str = ""
    generator_id: str
    source: str = "held_out"
    task: str = "t2i"
    taste: str = "large_warm"
    pairs: int = Field(default=500, ge=2)
    min_gap: float = 0.1
    seed: int = 0


def draw_pairs(judged: Sequence[Judged], value: Callable[[Judged], float], config: GoldAccuracyConfig,
               domain: str) -> list[Pair]:
    """At most `config.pairs` of one domain by hash, the better one second."""
    found = [(x, y) for group in by_prompt([item for item in judged if item.domain == domain]).values()
             for x, y in combinations(group, 2) if abs(value(x) - value(y)) > config.min_gap]
    found.sort(key=lambda pair: content_id("gold pair", pair[0].candidate_id, pair[1].candidate_id, config.seed))
    return [pair if value(pair[1]) > value(pair[0]) else pair[::-1] for pair in found[:config.pairs]]


def margins(model: RewardModel, pairs: Sequence[Pair], frames: Callable[[str], Frames], config: GoldAccuracyConfig,
            instruction: str | None) -> NDArray[np.float64]:
    """Log-odds that the second candidate is the better one, mean over both orders, [N]."""
    items = [PairItem(x.prompt, frames(first.media_id), frames(second.media_id), config.task, "overall", instruction)
             for x, y in pairs for first, second in ((x, y), (y, x))]
    p = model.score_pairs(items).astype(np.float64).clip(1e-7, 1 - 1e-7)
    odds = np.log(p / (1 - p)).reshape(-1, 2)
    found: NDArray[np.float64] = (odds[:, 0] - odds[:, 1]) / 2
    return found


def right(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 where the better one is preferred, 0.5 for a tie."""
    return np.where(values > 0, 1.0, np.where(values < 0, 0.0, 0.5))


def _prompts(pairs: Sequence[Pair]) -> list[str]:
    return [pair[0].prompt_id for pair in pairs]


def _measure(config: GoldAccuracyConfig, warehouse: Warehouse, judged: Sequence[Judged]) -> dict[str, Estimate]:
    tuned = load_reward_model(warehouse, config.model)
    instruction = tuned.card.instruction(config.task, "overall")
    held: dict[str, Frames] = {}

    def frames(media_id: str) -> Frames:
        if media_id not in held:
            held[media_id] = frames_of(warehouse.media.get(media_id), tuned.card.max_frames)
        return held[media_id]

    def score(model: RewardModel, asked: Sequence[Pair]) -> NDArray[np.float64]:
        return right(margins(model, asked, frames, config, instruction)) if asked else np.zeros(0)

    asked = {"accuracy_id": draw_pairs(judged, lambda item: item.overall, config, "id"),
             "accuracy_ood": draw_pairs(judged, lambda item: item.overall, config, "ood"),
             "accuracy_taste": draw_pairs(judged, lambda item: item.look, config, "id")}
    answers = {name: score(tuned, pairs) for name, pairs in asked.items()}
    found = {name: bootstrap_mean(answers[name], _prompts(pairs)) for name, pairs in asked.items()}
    if config.base:
        pretrained = load_reward_model(warehouse, config.base)
        of = {"accuracy_pretrained": "accuracy_id", "accuracy_taste_pretrained": "accuracy_taste"}
        before = {name: score(pretrained, asked[same]) for name, same in of.items()}
        found |= {name: bootstrap_mean(before[name], _prompts(asked[same])) for name, same in of.items()}
        found["gain_over_pretrained"] = paired_bootstrap(before["accuracy_pretrained"], answers["accuracy_id"],
                                                         _prompts(asked["accuracy_id"]))
        asked |= {name: asked[same] for name, same in of.items()} | {"gain_over_pretrained": asked["accuracy_id"]}
    return {name: Estimate(item.value, len(asked[name]), item.ci_low, item.ci_high) for name, item in found.items()}


def run(config: GoldAccuracyConfig, warehouse: Warehouse) -> Receipt:
    """Outputs: each estimate as {value, n (pairs), ci_low, ci_high}, interval by prompt; rows in evaluations."""

    def body(recorder: Recorder) -> None:
        judged = judge(warehouse, config.generator_id, config.source, config.taste)
        recorder.count("read", len(judged))
        rows = []
        for name, item in _measure(config, warehouse, judged).items():
            recorder.output(name, item.as_json())
            rows.append({"evaluation_id": content_id("evaluation", recorder.run_id, name), "model_id": config.model,
                         "dataset": f"gold:{config.source}", "slice": config.taste, "metric": name, **item.as_json()})
        warehouse.merge("evaluations", rows, run_id=recorder.run_id)

    digest = warehouse.digest("SELECT candidate_id FROM candidates WHERE generator_id = ?", [config.generator_id])
    return run_stage("gold_accuracy", config, warehouse, {"model": config.model, "candidates": digest}, body)
