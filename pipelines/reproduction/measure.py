"""Train every arm of a table over seeds within a budget of minutes, and ask each model the same pairs.

Seeds come before arms, so that a budget that runs out leaves arms with equally many seeds. What is trained or asked
already is found again by its content id: the same command with more minutes goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.config import SOURCE_ROOT, RunConfig, load_config
from pipelines.reproduction.tables import MAIN_SIZE, Arm, PaperTable, base_of
from rm.answers import Answers, ask
from rm.instructions import InstructionConfig
from rm.instructions import run as write_instructions
from rm.reward_model import load_reward_model
from rm.statistics import Estimate, bootstrap_seeds
from rm.train import TrainConfig
from rm.train import run as train
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.shards import open_split

SPLITS = {"ID": "test", "OOD": "ood"}
_KEPT = ("image_prompts", "images", "image_pairs", "image_votes", "consensus", "instructions", "dataset")
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a reproduction is told; `pairs` is the most asked of a split, 0 = all."""

    dataset: str
    version: int
    folder: Path
    minutes: float
    seeds: int = 3
    steps: int = 150
    batch_pairs: int = 8
    learning_rate: float = 3e-4
    pairs: int = 300


@dataclass(frozen=True, eq=False)
class Measured:
    """What one arm's models answered by "ID" and "OOD": share of orders right [seeds, pairs], prompts of the pairs.

    `together` [seeds, pairs] is 1 where the mean of both orders' log-odds names the winner: a pairwise model may lean
    to a place, a pointwise one cannot.
    """

    arm: str
    seeds: tuple[int, ...]
    right: dict[str, NDArray[np.float64]]
    together: dict[str, NDArray[np.float64]]
    prompts: dict[str, list[str]]

    def accuracy(self, split: str) -> Estimate:
        """Mean over seeds and pairs; the interval resamples seeds and prompts."""
        return bootstrap_seeds(self.right[split], self.prompts[split])

    def both_orders(self, split: str) -> Estimate:
        """Accuracy of the mean of both orders' log-odds."""
        return bootstrap_seeds(self.together[split], self.prompts[split])

    def lead_over(self, other: Measured, split: str) -> Estimate:
        """Difference of accuracy on the same pairs, over the seeds that both have."""
        both = min(len(self.seeds), len(other.seeds))
        return bootstrap_seeds(self.right[split][:both] - other.right[split][:both], self.prompts[split])


def data_config(prompts: int = 0) -> RunConfig:
    """The image data of the demo: its stages from prompts to the dataset version; `prompts` of them, 0 = as many."""
    demo = load_config(SOURCE_ROOT / "configs" / "demo.yaml").model_dump()
    stages = [entry for entry in demo["stages"] if entry["name"] in _KEPT]
    for entry in stages:
        entry["summary"] = {key: value for key, value in entry["summary"].items() if key.startswith("dataset.")}
        if entry["name"] == "image_prompts" and prompts:
            entry["options"]["options"]["limit"] = prompts
        if entry["name"] == "consensus":
            entry["options"]["campaign_ids"] = ["${image_votes.campaign_id}"]
    return RunConfig.model_validate({**demo, "name": "reproduce", "stages": stages, "show": {}, "report": False})


def measure(table: PaperTable, plan: Plan, warehouse: Warehouse, tell: Tell) -> list[Measured]:
    """Every arm that at least one seed was trained for, in the table's order; raises ConfigError for none."""
    pointwise = SOURCE_ROOT / "configs" / "instructions" / "simulation_pointwise.yaml"
    write_instructions(InstructionConfig(file=pointwise), warehouse)
    started, slowest = time.monotonic(), 0.0
    found: dict[str, list[dict[str, Answers]]] = {arm.name: [] for arm in table.arms}
    for seed in range(plan.seeds):
        for arm in table.arms:
            clock = time.monotonic()
            if clock - started + slowest > 60 * plan.minutes:
                tell(f"the budget of {plan.minutes:g} minutes is spent before {arm.name}, seed {seed}")
                return _collected(table, found)
            found[arm.name].append(_one(arm, seed, plan, warehouse))
            slowest = max(slowest, time.monotonic() - clock)
            tell(f"{arm.name}, seed {seed}: {time.monotonic() - clock:.0f} s")
    return _collected(table, found)


def _one(arm: Arm, seed: int, plan: Plan, warehouse: Warehouse) -> dict[str, Answers]:
    """The answers of one arm's model of a seed, by "ID" and "OOD"."""
    # One name for all: an arm that stands in several tables is trained once.
    options = {"name": "reproduce", "base": str(base_of(MAIN_SIZE)), "tasks": ("t2i",), "validation_samples": 64,
               "dataset": plan.dataset, "version": plan.version, "steps": plan.steps, "batch_pairs": plan.batch_pairs,
               "learning_rate": plan.learning_rate, "validate_every": max(1, plan.steps // 2), "patience": 0,
               "seed": seed, **arm.changes}
    model_id = str(train(TrainConfig.model_validate(options), warehouse).outputs["model_id"])
    return {name: _asked(model_id, split, plan, warehouse) for name, split in SPLITS.items()}


def _asked(model_id: str, split: str, plan: Plan, warehouse: Warehouse) -> Answers:
    file = plan.folder / "answers" / f"{model_id}-{split}-{plan.pairs}.npz"
    if not file.is_file():
        dataset = open_split(warehouse.root, plan.dataset, plan.version, split, tasks=["t2i"])
        found = ask(load_reward_model(warehouse, model_id), dataset, plan.pairs)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".part-{file.name}")
        np.savez(part, **vars(found))
        part.replace(file)
    with np.load(file) as held:
        fields: dict[str, Any] = {name: held[name] if held[name].dtype.kind == "f" else tuple(held[name].tolist())
                                  for name in held.files}
    return Answers(**fields)


def _collected(table: PaperTable, found: dict[str, list[dict[str, Answers]]]) -> list[Measured]:
    measured = []
    for arm in table.arms:
        answers = found[arm.name]
        if not answers:
            continue
        right = {name: np.stack([each[name].right[each[name].decided].mean(axis=1) for each in answers])
                 for name in SPLITS}
        together = {name: np.stack([_together(each[name]) for each in answers]) for name in SPLITS}
        prompts = {name: [prompt for prompt, kept in zip(answers[0][name].prompts, answers[0][name].decided,
                                                         strict=True) if kept] for name in SPLITS}
        measured.append(Measured(arm.name, tuple(range(len(answers))), right, together, prompts))
    if not measured:
        raise ConfigError("the budget is too small for a single model", hint="give more minutes")
    return measured


def _together(answers: Answers) -> NDArray[np.float64]:
    """1 where the margin is on the consensus's side, of decided pairs."""
    found: NDArray[np.float64] = ((answers.margins > 0) == (answers.wanted[:, 0] > 0.5))[answers.decided].astype(float)
    return found
