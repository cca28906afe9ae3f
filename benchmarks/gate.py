"""Does the cure help? False-yes of the gate's attacks before and after training on adversarial negatives.

One base model, one dataset of votes; per seed one reward model from the votes and one from votes and negatives, by the
settings of configs/demo.yaml and with the same steps. Beside false-yes stand accuracy on pairs of test and ood, and
yes-recall (clear winners that are called better), which the cure must not cost: aim, within two points. The dataset is
that of a finished demo: the newest version `demo` in $REWARDDANCE_WAREHOUSE, else in runs/demo/warehouse; everything
made here goes to a copy. The base is the demo's, or what $GATE_BASE names (vlm_small, for a machine in a hurry).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks._reporting import Row, arguments, finish  # noqa: E402
from pipelines.config import load_config  # noqa: E402
from rm import gate, negatives, train  # noqa: E402
from rm.gate_measures import Question  # noqa: E402
from rm.reward_model import RewardModel, load_reward_model  # noqa: E402
from warehouse import Warehouse, open_warehouse  # noqa: E402
from warehouse.datasets import build  # noqa: E402

DEMO_BASE = "vlm_middle"
BASE = os.environ.get("GATE_BASE", DEMO_BASE)
SEEDS, PAIRS = 3, 96
ARMS = ("votes", "votes and negatives")
Measured = dict[str, float]


def demo() -> Path:
    """A warehouse that holds the demo's dataset."""
    for place in (os.environ.get("REWARDDANCE_WAREHOUSE", ""), str(ROOT / "runs" / "demo" / "warehouse")):
        if place and (Path(place) / "datasets" / "demo").is_dir():
            return Path(place)
    raise SystemExit("no dataset `demo`: run `make demo`, or set REWARDDANCE_WAREHOUSE")


def taught(warehouse: Warehouse) -> tuple[int, str, int]:
    """The demo's newest version, and name and version of the same with the demo's negatives."""
    version = warehouse.rows("SELECT max(version) AS v FROM dataset_versions WHERE name = 'demo'")[0]["v"]
    config = negatives.NegativesConfig(**{**settings("negatives"), "dataset": "demo", "version": version})
    named = negatives.run(config, warehouse).outputs["consensus_ids"]
    recipe = negatives.recipe_of(config, warehouse)
    changed = {"name": "taught", "consensus_ids": tuple(named), "min_votes": 0, "dimensions": config.dimensions}
    made = build.run(recipe.model_copy(update=changed), warehouse).outputs
    return version, made["name"], made["version"]


def settings(stage: str) -> dict[str, Any]:
    """The options of one of the demo's stages."""
    stages = load_config(ROOT / "configs" / "demo.yaml").stages
    return next(dict(entry.options) for entry in stages if entry.name == stage)


def trained(warehouse: Warehouse, dataset: str, version: int, seed: int, steps: int) -> str:
    """A reward model by the demo's settings; 0 steps are as many as there."""
    changed = {"name": f"{dataset}-{seed}", "base": str(ROOT / "simulation" / "weights" / BASE), "dataset": dataset,
               "version": version, "seed": seed} | ({"steps": steps, "validate_every": steps} if steps else {})
    return str(train.run(train.TrainConfig(**{**settings("reward_model"), **changed}), warehouse).outputs["model_id"])


def measured(warehouse: Warehouse, model_id: str, version: int, pairs: int) -> Measured:
    """Everything the gate measures, accuracy on pairs drawn from test and ood, and yes-recall on clear ones."""
    config = gate.GateConfig(model_id=model_id, dataset="demo", version=version, pairs=pairs)
    found = gate.run(config, warehouse)
    rows = warehouse.rows("SELECT attack, key, value FROM attack_results WHERE run_id = ?", [found.run_id])
    model = load_reward_model(warehouse, model_id)
    clear, drawn = gate.questions(warehouse, config, model.max_frames)
    yes, no = _answers(model, drawn)
    recalled, _ = _answers(model, clear)
    return {**{f"{row['attack']}:{row['key']}": row["value"] for row in rows},
            "accuracy": float(np.mean([yes > 0.5, no <= 0.5])), "yes_recall": float(np.mean(recalled > 0.5)),
            "passed": float(found.outputs["passed"])}


def _answers(model: RewardModel, asked: list[Question]) -> tuple[Any, Any]:
    """P(yes) for winners as candidates [N] and for losers [N]."""
    return (model.score_pairs([q.item(q.loser, q.winner) for q in asked]),
            model.score_pairs([q.item(q.winner, q.loser) for q in asked]))


def rows_of(found: dict[str, list[Measured]], size: str) -> list[Row]:
    """Means over seeds, after against before."""
    before, after = (found[arm] for arm in ARMS)

    def mean(runs: list[Measured], keys: list[str]) -> float:
        return float(np.mean([run[key] for run in runs for key in keys]))

    rows = []
    pictures, words = ([key for key in before[0] if key.startswith(kind)] for kind in ("false_yes", "text_key"))
    for keys, name in ((pictures, "mean false-yes of picture and clip keys"), (words, "mean of text keys")):
        ours, peer = mean(after, keys), mean(before, keys)
        rows.append(Row(f"{name}, after against before, {size}", ours, peer, max(peer, 1e-3) / max(ours, 1e-3), "share",
                        1.0, ours <= peer))
    worst = float(np.mean([max(run[key] for key in pictures) for run in after]))
    peer = float(np.mean([max(run[key] for key in pictures) for run in before]))
    rows.append(Row(f"worst picture key, {size}", worst, peer, 0.15 / max(worst, 1e-3), "share, at most 0.15", 1.0,
                    worst <= 0.15))
    for key in ("accuracy", "yes_recall"):
        ours, peer = mean(after, [key]), mean(before, [key])
        rows.append(Row(f"{key.replace('_', '-')} after the cure, {size}", ours, peer, ours - peer + 0.02 + 1.0,
                        "share, at most 0.02 lower", 1.0, ours >= peer - 0.02))
    passed = mean(after, ["passed"])
    rows.append(Row(f"seeds that pass the gate, {size}", passed, mean(before, ["passed"]), passed, "share", 1.0,
                    passed >= 1.0))
    return rows


def table(found: dict[str, list[Measured]]) -> str:
    """Every key, means over seeds."""
    lines = ["| measurement | before | after |", "|---|---|---|"]
    for key in found[ARMS[0]][0]:
        before, after = (np.mean([run[key] for run in found[arm]]) for arm in ARMS)
        lines.append(f"| {key} | {before:.3f} | {after:.3f} |")
    return "\n".join(lines)


def main() -> None:
    """`--quick` is one seed with few steps."""
    args = arguments(__doc__ or "")
    torch.set_num_threads(1)
    seeds, steps, pairs = (1, 12, 12) if args.quick else (SEEDS, 0, PAIRS)
    found: dict[str, list[Measured]] = {arm: [] for arm in ARMS}
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(demo(), Path(folder) / "warehouse", ignore=shutil.ignore_patterns("work"))
        with open_warehouse(str(Path(folder) / "warehouse")) as warehouse:
            version, name, number = taught(warehouse)
            for seed in range(seeds):
                for arm, data in zip(ARMS, (("demo", version), (name, number)), strict=True):
                    model_id = trained(warehouse, *data, seed, steps)
                    found[arm].append(measured(warehouse, model_id, version, pairs))
                    print(f"seed {seed}, {arm}: {found[arm][-1]}", file=sys.stderr, flush=True)
    size = f"{BASE}, {seeds} seeds, {steps or settings('reward_model')['steps']} steps, {pairs} pairs"
    command = f"{'' if BASE == DEMO_BASE else f'GATE_BASE={BASE} '}python benchmarks/gate.py"
    finish("gate" if BASE == DEMO_BASE else f"gate_{BASE}", rows_of(found, size), args,
           f"{table(found)}\n\nCommand: `{command}`.\n")


if __name__ == "__main__":
    main()
