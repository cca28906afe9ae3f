"""`python -m simulation.pretrain MODEL [--state FOLDER]`: train one committed model, resuming where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from simulation.pretrain.models import MODELS, save
from simulation.pretrain.run import trace, train


def main(
    model: Annotated[str, typer.Argument(help=f"one of {', '.join(MODELS)}")],
    state: Annotated[Path, typer.Option(help="where unfinished training is kept")] = Path(".cache/pretrain"),
) -> None:
    """Train MODEL from scratch with its fixed seed and write weights and card under simulation/weights/."""
    torch.set_num_threads(1)
    recipe = MODELS[model]()
    trained, card = train(recipe, state, log=lambda line: print(line, flush=True))
    card |= {"device": "cpu, 1 thread, float32", "command": f"python -m simulation.pretrain {model}",
             "trace": trace(recipe)}
    print(save(model, trained, card))


if __name__ == "__main__":
    typer.run(main)
