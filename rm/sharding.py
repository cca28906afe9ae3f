"""One model over several processes: its weights, gradients and optimiser state in shards (FSDP2).

ZeRO-3 (Rajbhandari et al., arXiv 1910.02054) by torch's own `fully_shard`, which is what accelerate calls too. Each
layer of the language model is gathered when it is its turn and let go again; a frozen vision tower stays whole in every
process, because its features are computed outside the loss. Checkpoints hold whole tensors, so that they are the same
files as without shards, and a run may go on with another number of processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from rm.families.family import Family


def shard(loss: nn.Module, model: Any, family: Family) -> None:
    """Shard the weights of `loss`, the module that holds `model`, in place; before an optimiser is made."""
    from torch.distributed.fsdp import fully_shard

    vision = family.vision_parameters(model)
    kept = set() if any(parameter.requires_grad for parameter in vision) else set(vision)
    for layer in model.model.language_model.layers:
        fully_shard(layer)
    # Let go after each forward pass too: a validation has no backward pass, and weights change after it.
    fully_shard(loss, ignored_params=kept, reshard_after_forward=True)


def whole(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights as whole tensors; every process must ask, because all give their part."""
    return {name: _whole(value) for name, value in weights.items()}


def _whole(value: Tensor) -> Tensor:
    found = value.detach()
    return found.full_tensor() if isinstance(found, DTensor) else found


def as_sharded(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor cut as `like` is; every process must ask. The same tensor where `like` is whole."""
    return distribute_tensor(value, like.device_mesh, like.placements) if isinstance(like, DTensor) else value


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimiser's state in whole tensors; every process must ask."""
    state = optimiser.state_dict()
    kept = {place: {name: _whole(value) if isinstance(value, Tensor) else value for name, value in values.items()}
            for place, values in state["state"].items()}
    return {**state, "state": kept}


def load_optimiser(optimiser: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Give back what `optimiser_state` gave, cut as the weights are now."""
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    cut = {place: {name: as_sharded(value, weights[place]) if isinstance(value, Tensor) and value.dim() else value
                   for name, value in values.items()} for place, values in state["state"].items()}
    optimiser.load_state_dict({**state, "state": cut})
