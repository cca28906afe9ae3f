"""`python -m simulation.pretrain MODEL [--state FOLDER]`: train one committed model, resuming where it stopped.

With `--measure` nothing is trained: the metrics on the card of the committed weights are counted again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from simulation.pretrain.measure import measure
from simulation.pretrain.models import MODELS, save, write_card
from simulation.pretrain.run import WEIGHTS, trace, train


def main(
    model: Annotated[str, typer.Argument(help=f"one of {', '.join(MODELS)}")],
    state: Annotated[Path, typer.Option(help="where unfinished training is kept")] = Path(".cache/pretrain"),
    measure_only: Annotated[bool, typer.Option("--measure", help="measure the committed weights again")] = False,
) -> None:
    """Train MODEL from scratch with its fixed seed and write weights and card under simulation/weights/."""
    torch.set_num_threads(1)
    if not measure_only:
        recipe = MODELS[model]()
        trained, card = train(recipe, state, log=lambda line: print(line, flush=True))
        save(model, trained)
        write_card(model, card | {"trace": trace(recipe),
                                  "command": f"python -m simulation.pretrain {model}"})
    write_card(model, {"metrics": measure(model, WEIGHTS / model)})
    print(WEIGHTS / model)


if __name__ == "__main__":
    typer.run(main)
