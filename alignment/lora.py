"""Low-rank adapters on any `nn.Linear` (Hu et al., arXiv 2106.09685): W + U D with U = 0 at the start.

Written on torch's own parametrisations: the product is added to the weight before the matrix multiplication, which is
exact when the adapter is zero, costs next to nothing where tokens outnumber rows, and needs no change to the module.
Adapters stack; `state` writes all of a layer's as one by joining their ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from warehouse.errors import ConfigError


class LowRank(nn.Module):
    """weight [O, I] -> weight + up [O, R] @ down [R, I]."""

    def __init__(self, up: Tensor, down: Tensor) -> None:
        super().__init__()
        self.up, self.down = nn.Parameter(up), nn.Parameter(down)
        self.enabled = True

    def forward(self, weight: Tensor) -> Tensor:
        return torch.addmm(weight, self.up, self.down) if self.enabled else weight


def _linears(module: nn.Module, endings: Sequence[str]) -> Iterator[tuple[str, nn.Linear]]:
    for name, child in module.named_modules():
        if isinstance(child, nn.Linear) and name.rpartition(".")[2] in endings:
            yield name, child


def _attach(linear: nn.Linear, adapter: LowRank) -> LowRank:
    # unsafe: skips a trial call that would only check the shape.
    parametrize.register_parametrization(linear, "weight", adapter, unsafe=True)
    return adapter


def add(module: nn.Module, endings: Sequence[str], rank: int, seed: int) -> list[LowRank]:
    """Freeze `module` and give every linear layer with such a last name a trainable adapter of `rank`."""
    module.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _, linear in list(_linears(module, endings)):
        outputs, inputs = linear.weight.shape
        down = torch.randn(rank, inputs, generator=generator) / inputs**0.5
        made.append(_attach(linear, LowRank(torch.zeros(outputs, rank), down)))
    return made


def state(module: nn.Module, endings: Sequence[str]) -> dict[str, Tensor]:
    """`NAME.up` and `NAME.down` of every adapted layer; stacked adapters are joined along the rank."""
    found: dict[str, Tensor] = {}
    for name, linear in _linears(module, endings):
        if not parametrize.is_parametrized(linear, "weight"):
            continue
        stacked = [item for item in _parametrizations(linear) if isinstance(item, LowRank)]
        found[f"{name}.up"] = torch.cat([item.up.detach() for item in stacked], dim=1)
        found[f"{name}.down"] = torch.cat([item.down.detach() for item in stacked], dim=0)
    return found


def _parametrizations(linear: nn.Linear) -> Iterator[nn.Module]:
    parametrizations = linear.parametrizations
    assert isinstance(parametrizations, nn.ModuleDict)
    yield from parametrizations["weight"].children()


def load(module: nn.Module, endings: Sequence[str], tensors: Mapping[str, Tensor]) -> None:
    """Attach saved adapters, frozen; raises ConfigError where layers or shapes are not the module's."""
    linears = dict(_linears(module, endings))
    names = {name.rpartition(".")[0] for name in tensors}
    if not names or not names <= set(linears):
        raise ConfigError(f"the adapter names layers that the network lacks: {sorted(names - set(linears))[:3]}")
    for name in sorted(names):
        up, down = tensors[f"{name}.up"], tensors[f"{name}.down"]
        if (up.shape[0], down.shape[1]) != tuple(linears[name].weight.shape):
            raise ConfigError(f"the adapter of {name} has shapes {tuple(up.shape)} and {tuple(down.shape)}")
        _attach(linears[name], LowRank(up.clone(), down.clone())).requires_grad_(False)


@contextmanager
def disabled(adapters: Sequence[LowRank]) -> Iterator[None]:
    """Within the block these adapters add nothing."""
    for adapter in adapters:
        adapter.enabled = False
    try:
        yield
    finally:
        for adapter in adapters:
            adapter.enabled = True
