"""`rewarddance rm`: train, evaluate and use a reward model."""

from __future__ import annotations

from pathlib import Path

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, Set, Unchanged, WarehouseUrl, run_one

app = typer.Typer(no_args_is_help=True)


@app.command()
def train(set: Set = None, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False,
          fail_if_unchanged: Unchanged = False) -> None:
    """Train a reward model. Example: rewarddance rm train --set name=rm --set base=MODEL --set dataset=first@1"""
    run_one("rm.train:TrainConfig", warehouse, set, json, fail_if_unchanged)


@app.command("eval")
def evaluate(set: Set = None, warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False,
             fail_if_unchanged: Unchanged = False) -> None:
    """Evaluate a reward model. Example: rewarddance rm eval --set model=PATH --set dataset=first@1"""
    run_one("rm.evaluate:EvalConfig", warehouse, set, json, fail_if_unchanged)


@app.command()
def score(model: Path, prompt: str, reference: Path, candidate: Path, task: str = "t2i", dimension: str = "overall",
          json: Json = False) -> None:
    """P("yes") that CANDIDATE beats REFERENCE. Example: rewarddance rm score MODEL "a red circle" a.png b.png"""
    from rm.reward_model import RewardModel

    from pipelines.cli.output import emit
    from warehouse.media.decode import decode_frames

    first, second = (decode_frames(path.read_bytes())[0] for path in (reference, candidate))
    value = RewardModel.load(model).score_pairs([prompt], [first], [second], task, dimension)
    emit({"reward": float(value[0]), "model": str(model), "task": task, "dimension": dimension}, json)
