"""Stage `gold gain`: is the aligned generator better, on held-out prompts with the same noise before and after."""

from __future__ import annotations

import numpy as np

from rm.statistics import paired_bootstrap
from simulation.evaluate.golden import Judged, by_prompt, judge
from warehouse import Warehouse
from warehouse.errors import NotFoundError
from warehouse.hashing import content_id
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

# What gold is made of, and the share of media that show exactly what the prompt names.
PARTS = ("alignment", "quality", "motion", "look", "strict")


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
    """Outputs gold before and after, gain with its interval by prompt, gold's parts, its spread, and n_prompts.

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
                   "gold_sd_before": float(np.std([item.overall for item in kept[0]]))}
        outputs |= {f"{part}_{when}": float(np.mean([getattr(item, part) for item in side]))
                    for part in PARTS for when, side in zip(("before", "after"), kept, strict=True)}
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
