"""What a generator must offer to be aligned: a rectified flow in some latent space, with a trainable adapter.

x_t = (1 - t) x_0 + t noise for t in [0, 1]; the velocity is d x_t / d t = noise - x_0. A policy owns its network, its
text encoder, guidance and decoder; samplers, losses and the monitor see latents, velocities and pixels only, so that
the same code aligns the simulation's generator and a diffusers pipeline (SD3, FLUX and Wan are rectified flows).

Left out on purpose: integration in time (sampling.py), and files of media (a policy that also makes candidates
implements `generation.protocol.Generator` beside this).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

ADAPTER_FILE = "adapter.safetensors"


class Policy(Protocol):
    """A generator with an adapter. `revision` is a hash of the weights in use, adapters included; `params` are the
    sampler's settings, `steps` among them. Both together say what it would make."""

    name: str
    task: str
    media_kind: str
    revision: str
    steps: int
    params: Mapping[str, Any]
    frame_times_s: tuple[float, ...]

    def times(self, steps: int) -> list[float]:
        """The `steps` + 1 times of a sampler, falling from 1 (noise) to 0 (data)."""
        ...

    def noise(self, seeds: Sequence[int]) -> Tensor:
        """Latents [B, ...] at t = 1; each row follows from its own seed alone."""
        ...

    def condition(self, prompts: Sequence[str]) -> Any:
        """Encoded prompts for `velocity`, one for each row of its latents."""
        ...

    def velocity(self, x_t: Tensor, t: float, condition: Any) -> Tensor:
        """noise - x_0 [B, ...] at one time t in (0, 1], guidance included; keeps the gradient."""
        ...

    def decode(self, x_0: Tensor) -> Tensor:
        """Pixels [B, T, H, W, 3] in [0, 1] of latents at t = 0; keeps the gradient."""
        ...

    def add_lora(self, rank: int, seed: int) -> None:
        """Freeze everything and add a fresh low-rank adapter, whose output is zero at the start."""
        ...

    def parameters(self) -> Sequence[nn.Parameter]:
        """The trainable tensors, in a fixed order; none before `add_lora`."""
        ...

    def base(self) -> AbstractContextManager[None]:
        """Within the block the trainable adapter is off: the policy as it was before `add_lora`."""
        ...

    def save(self, folder: Path, about: Mapping[str, Any]) -> str:
        """Write ADAPTER_FILE and adapter.json into an existing folder; returns the SHA-256 of the former."""
        ...

    def load(self, folder: Path) -> None:
        """Put a saved adapter on, frozen; `revision` changes. Raises ConfigError if made for other weights."""
        ...
