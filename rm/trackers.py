"""Where a training's curves go besides the warehouse's rows: TensorBoard's event files, and Weights & Biases.

Event files are written by tensorboardX, which needs neither TensorFlow nor a server. W&B is optional and offline unless
WANDB_MODE says otherwise: `wandb sync` sends its folder later. A resumed run goes on in the same folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from warehouse.errors import ConfigError

Tracker = Callable[[int, str, float], None]


@contextmanager
def trackers(names: Sequence[str], folder: Path, first: bool) -> Iterator[list[Tracker]]:
    """Those named, writing under `folder`; none in processes other than the first. Closed at the end."""
    with ExitStack() as stack:
        yield [stack.enter_context(_OPEN[name](folder)) for name in names] if first else []


@contextmanager
def _tensorboard(folder: Path) -> Iterator[Tracker]:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder / "tensorboard")) as writer:
        yield lambda step, name, value: writer.add_scalar(name, value, step)


@contextmanager
def _wandb(folder: Path) -> Iterator[Tracker]:
    try:
        import wandb
    except ImportError as error:
        raise ConfigError("track names wandb, which is not installed",
                          hint="pip install 'rewarddance[wandb]'") from error
    (folder / "wandb").mkdir(parents=True, exist_ok=True)
    mode: Any = os.environ.get("WANDB_MODE", "offline")
    run = wandb.init(project="rewarddance", id=folder.name, dir=str(folder), resume="allow", mode=mode)
    try:
        yield lambda step, name, value: run.log({name: value}, step=step)
    finally:
        run.finish()
        # Its service writes on in a process of its own; only this waits until the file is whole.
        wandb.teardown()


_OPEN = {"tensorboard": _tensorboard, "wandb": _wandb}
