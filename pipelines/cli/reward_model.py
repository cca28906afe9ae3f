"""`rewarddance rm`: train, evaluate and use a reward model."""

from __future__ import annotations

import typer

from pipelines.cli.options import stage_command

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
