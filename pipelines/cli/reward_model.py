"""`rewarddance rm`: train, evaluate and use a reward model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, WarehouseUrl, stage_command

app = typer.Typer(no_args_is_help=True)
app.command("train")(
    stage_command(
        "rm.train:TrainConfig",
        "Train a reward model. Example: rewarddance rm train --set base=MODEL --set dataset=first --set version=1",
    )
)
app.command("eval")(
    stage_command(
        "rm.evaluate:EvaluateConfig",
        "Evaluate a reward model. Example: rewarddance rm eval --set model_id=ID --set dataset=first --set version=1",
    )
)


@app.command()
def score(
    model: str,
    prompt: str,
    reference: Path,
    candidate: Path,
    task: Annotated[str, typer.Option(help="t2i, t2v, i2v or edit.")] = "t2i",
    dimension: Annotated[str, typer.Option(help="What is judged.")] = "overall",
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """P("yes") that CANDIDATE beats REFERENCE. Example: rewarddance rm score MODEL "a red circle" a.png b.png"""
    from pipelines.cli.output import emit
    from rm.reward_model import PairItem, frames_of, load_reward_model
    from warehouse import open_warehouse
    from warehouse.errors import NotFoundError

    for path in (reference, candidate):
        if not path.is_file():
            raise NotFoundError(f"no file {path}")
    with open_warehouse(warehouse) as opened:
        loaded = load_reward_model(opened, model)
        first, second = (frames_of(path.read_bytes(), 8) for path in (reference, candidate))
        item = PairItem(prompt=prompt, reference=first, candidate=second, task=task, dimension=dimension)
        value = float(loaded.score_pairs([item])[0])
    emit({"reward": value, "model": model, "task": task, "dimension": dimension}, json)
