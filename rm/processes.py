"""The processes of one training run: who this one is, its share of a batch, and sums over all of them.

Started by torchrun, which sets the environment; a run without it is one process and never touches torch.distributed.
Gradients are averaged by DistributedDataParallel (Li et al., arXiv 2006.15704), or with the weights in shards
(sharding.py), over gloo on CPUs and nccl on GPUs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from warehouse.errors import ConfigError


def there(device: str) -> str:
    """The device, if this machine has it; raises ConfigError that says what it has."""
    kind, _, number = device.partition(":")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "cuda" and gpus <= int(number or 0):
        raise ConfigError(f"no device {device!r} here: {gpus} GPUs", hint="say device=cpu, or install a torch built "
                          "for CUDA and check nvidia-smi")
    return device


@dataclass(frozen=True)
class Processes:
    """Place `rank` of `world`, and the place on this machine, which chooses the GPU; whether weights are sharded."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    sharded: bool = False

    @property
    def first(self) -> bool:
        """Whether this process writes files and tells progress."""
        return self.rank == 0

    def device(self, wanted: str) -> str:
        """`cuda` becomes this process's own GPU; raises ConfigError where there is none."""
        return f"cuda:{self.local_rank}" if there(wanted) == "cuda" else wanted

    def share(self, batch: Sequence[int]) -> list[int]:
        """This process's members of a batch; all shares together are the batch."""
        return list(batch[self.rank::self.world])

    def total(self, value: Tensor) -> Tensor:
        """Sum over processes, without gradient."""
        summed = value.detach().clone()
        if self.world > 1:
            distributed.all_reduce(summed)
        return summed

    def agreed(self, value: Any) -> Any:
        """The first process's value, in every process."""
        if self.world == 1:
            return value
        held = [value]
        distributed.broadcast_object_list(held, src=0)
        return held[0]

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module, its gradients averaged over processes on each backward pass; a sharded one does so by itself."""
        if self.world == 1 or self.sharded:
            return module
        return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)


@contextmanager
def joined(device: str, sharded: bool = False) -> Iterator[Processes]:
    """Join the other processes that torchrun started; leaves them at the end."""
    rank, world, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    found = Processes(rank, world, local, sharded)
    if device == "cuda":
        torch.cuda.set_device(found.local_rank)
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield found
    finally:
        distributed.destroy_process_group()
