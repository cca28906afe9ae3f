"""Stage `gold gain`: is the aligned generator better, on held-out prompts with the same noise before and after."""

from __future__ import annotations

import numpy as np

from rm.statistics import paired_bootstrap
from simulation.evaluate.golden import Judged, by_prompt, judge
from warehouse import Warehouse
from warehouse.errors import NotFoundError
from warehouse.hashing import content_id
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage


class GoldGainConfig(StageConfig):
    """Two generators' ids, and the prompts (by source) for which both have candidates."""

    before: str
    after: str
    source: str = "held_out"
    taste: str = "large_warm"


def _means(judged: list[Judged], prompts: list[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    groups = by_prompt(judged)
    return np.array([np.mean([item.overall for item in groups[prompt]]) for prompt in prompts])


def _noise(item: Judged) -> tuple[str, int]:
    return item.prompt_id, item.seed


def run(config: GoldGainConfig, warehouse: Warehouse) -> Receipt:
    """Outputs gold_before, gold_after, gain with its interval by prompt, strict success, spread of gold, n_prompts.

    Only candidates of a prompt and noise that both generators have are counted; NotFoundError where there is none.
    """

    def body(recorder: Recorder) -> None:
        sides = [judge(warehouse, name, config.source, config.taste) for name in (config.before, config.after)]
        shared = {_noise(item) for item in sides[0]} & {_noise(item) for item in sides[1]}
        if not shared:
            raise NotFoundError("no prompt and noise in common", where=f"{config.before[:12]}, {config.after[:12]}")
        kept = [[item for item in side if _noise(item) in shared] for side in sides]
        prompts = sorted({prompt for prompt, _ in shared})
        before, after = (_means(side, prompts) for side in kept)
        gain = paired_bootstrap(before, after, prompts)
        outputs = {"gold_before": float(before.mean()), "gold_after": float(after.mean()), "gain": gain.value,
                   "gain_ci_low": gain.ci_low, "gain_ci_high": gain.ci_high, "n_prompts": len(prompts),
                   "strict_before": float(np.mean([item.strict for item in kept[0]])),
                   "strict_after": float(np.mean([item.strict for item in kept[1]])),
                   "gold_sd_before": float(np.std([item.overall for item in kept[0]])),
                   "look_before": float(np.mean([item.look for item in kept[0]])),
                   "look_after": float(np.mean([item.look for item in kept[1]]))}
        recorder.count("read", sum(map(len, sides)))
        for name, value in outputs.items():
            recorder.output(name, value)
        warehouse.merge("evaluations", [
            {"evaluation_id": content_id("evaluation", recorder.run_id, name), "model_id": config.after,
             "dataset": f"gold:{config.source}", "slice": config.taste, "metric": name, "value": float(value),
             "n": len(prompts)} for name, value in outputs.items()], run_id=recorder.run_id)

    digest = warehouse.digest("SELECT candidate_id FROM candidates WHERE generator_id IN (?, ?)",
                              [config.before, config.after])
    return run_stage("gold_gain", config, warehouse, {"candidates": digest}, body)
