"""`rewarddance rm`: train, evaluate, attack, promote, export and use a reward model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli import benchmark, evaluate, gate, serve
from pipelines.cli.options import DEFAULT_WAREHOUSE, Json, WarehouseUrl, stage_command

if TYPE_CHECKING:
    from rm.context import Frames

app = typer.Typer(no_args_is_help=True)
app.command()(serve.serve)
app.command("train")(
    stage_command(
        "rm.train:TrainConfig",
        "Train a reward model. Example: rewarddance rm train --set base=MODEL --set dataset=first --set version=1",
    )
)
app.command("eval")(evaluate.evaluate)
app.command()(benchmark.benchmark)
app.command()(gate.gate)
app.command("negatives")(
    stage_command(
        "rm.negatives:NegativesConfig",
        "Pairs that a model should refuse. Example: rewarddance rm negatives --set dataset=first --set version=1",
    )
)

for _name, (_stage, _about) in {
    "features": (
        "rm.candidate_features:FeatureConfig",
        "What a model makes of each candidate, kept. Example: rewarddance rm features --set model_id=MODEL",
    ),
    "ensemble": (
        "rm.ensemble:EnsembleConfig",
        "Heads on features, in doubt where votes do not settle a pair. Example: rewarddance rm ensemble "
        "--set feature_id=ID --set consensus_id=ID",
    ),
    "pair-rewards": (
        "rm.pair_rewards:PairRewardConfig",
        "P(yes) of the couples of each prompt, for pairing. Example: rewarddance rm pair-rewards --set reward_model=ID",
    ),
}.items():
    app.command(_name)(stage_command(_stage, _about))


def _frames(path: Path, max_frames: int) -> Frames:
    """A file as the model is shown it."""
    from rm.reward_model import frames_of
    from warehouse.errors import MediaError, NotFoundError

    if not path.is_file():
        raise NotFoundError(f"no file {path}")
    try:
        return frames_of(path.read_bytes(), max_frames)
    except MediaError as error:
        raise MediaError(error.message, reason=error.reason, where=str(path)) from error


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
    from rm.reward_model import PairItem, load_reward_model
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        loaded = load_reward_model(opened, model)
        first, second = (_frames(path, loaded.max_frames) for path in (reference, candidate))
        item = PairItem(prompt=prompt, reference=first, candidate=second, task=task, dimension=dimension)
        value = float(loaded.score_pairs([item])[0])
    emit({"reward": value, "model": model, "task": task, "dimension": dimension}, json)


@app.command("list")
def list_models(warehouse: WarehouseUrl = DEFAULT_WAREHOUSE, json: Json = False) -> None:
    """Reward models: data, accuracy, gate, roles. Example: rewarddance rm list --warehouse runs/demo/warehouse"""
    from pipelines.cli.output import emit
    from rm.promotion import models
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        emit(models(opened), json)


@app.command()
def promote(
    model: str,
    reason: Annotated[str, typer.Option(help="Why; kept with the act.")] = "",
    role: Annotated[str, typer.Option(help="What the model is to be used for.")] = "reward",
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Put a model that passed the gate into use. Example: rewarddance rm promote MODEL --reason better"""
    from pipelines.cli.output import emit
    from rm.promotion import promote
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        emit(promote(opened, model, reason, role), json)


@app.command()
def rollback(
    reason: Annotated[str, typer.Option(help="Why; kept with the act.")] = "",
    role: Annotated[str, typer.Option(help="The role to roll back.")] = "reward",
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Return to the model that was in use before. Example: rewarddance rm rollback --reason hacked"""
    from pipelines.cli.output import emit
    from rm.promotion import rollback, stack
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        act = rollback(opened, reason, role)
        emit({**act, "in_use": "".join(stack(opened, role)[-1:])}, json)


@app.command()
def export(
    model: str,
    out: Annotated[Path, typer.Option(help="Folder to write; absent or empty.")],
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """A folder for others: weights, card, one-file scorer. Example: rewarddance rm export MODEL --out exported"""
    from pipelines.cli.output import emit
    from rm.export import export
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        card = export(opened, model, out)
    emit({"model_id": card.model_id, "path": str(out), "files": sorted(path.name for path in out.iterdir())}, json)


@app.command()
def card(
    subjects: Annotated[list[str], typer.Argument(help="Model ids, as the gate gave them.")],
    warehouse: WarehouseUrl = DEFAULT_WAREHOUSE,
    json: Json = False,
) -> None:
    """Scorers side by side, as the gate found them, in Markdown. Example: rewarddance rm card MODEL OTHER > card.md"""
    from pipelines.cli.output import emit
    from rm.gate_card import gate_card
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        text = gate_card(opened, subjects)
    if json:
        emit({"subjects": subjects, "card": text}, json)
    else:
        print(text, end="")
