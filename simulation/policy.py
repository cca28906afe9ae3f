"""The simulated world's generators as plug-ins: candidates for the loop (Generator) and something to align (Policy).

`image_generator`, `clip_generator`, `image_policy` and `clip_policy` are the names that a configuration gives. Weights
are a folder with model.safetensors, config.json (FlowConfig) and card.json; an adapter is a folder
`WAREHOUSE/models/ID` that `save` wrote. Latents are pixels in [-1, 1].
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from alignment import lora
from alignment.policy import ADAPTER_FILE
from alignment.sampling import euler
from simulation.flow import FlowConfig, FlowTransformer, tokenize, velocity
from simulation.scenes import CLIP_FPS
from warehouse.errors import ConfigError, NotFoundError
from warehouse.hashing import canonical_json, content_id, sha256_hex
from warehouse.media.encode import encode_mp4, encode_png

WEIGHTS = Path(__file__).resolve().parent / "weights"
ADAPTED_LAYERS = ("qkv", "out", "up", "down", "write")
# Matrix products of another shape differ in the last bits, and rounding to 8 bits makes some of them visible: every
# batch has this many rows, filled up where needed, so that a candidate's bytes do not depend on its neighbours.
_ROWS = 32


def save_generator(module: FlowTransformer, folder: Path) -> None:
    """Write model.safetensors (float16: half the bytes, and no eight-bit colour changes) and config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    halves = {name: value.half().contiguous() for name, value in module.state_dict().items()}
    save_file(halves, folder / "model.safetensors")
    (folder / "config.json").write_text(canonical_json(module.config.model_dump()) + "\n", encoding="utf-8")


def load_generator(folder: Path) -> FlowTransformer:
    """The network of a weights folder, in evaluation mode; raises NotFoundError where there is none."""
    if not (folder / "model.safetensors").is_file():
        raise NotFoundError("no generator weights", where=str(folder),
                            hint=f"python -m simulation.pretrain {folder.name}")
    config = FlowConfig.model_validate_json((folder / "config.json").read_text(encoding="utf-8"))
    module = FlowTransformer(config)
    module.load_state_dict({name: value.float() for name, value in load_file(folder / "model.safetensors").items()})
    return module.eval()


class SimulatedPolicy:
    """A FlowTransformer with its sampler's settings; `adapter` names what `load` put on, "" for the base."""

    kind = "simulation"

    def __init__(self, folder: Path, steps: int, guidance: float) -> None:
        if steps < 1 or guidance < 0:
            raise ConfigError(f"steps must be at least 1 and guidance at least 0, got {steps} and {guidance}")
        self.module = load_generator(folder).requires_grad_(False)
        self.base_revision = sha256_hex((folder / "model.safetensors").read_bytes())
        self.revision = self.base_revision
        frames = self.module.config.frames
        self.media_kind, self.task, self.name = (
            ("video", "t2v", "flow-clip") if frames > 1 else ("image", "t2i", "flow-image"))
        self.frame_times_s = tuple(index / CLIP_FPS for index in range(frames))
        self.steps, self.guidance = steps, guidance
        self.params: Mapping[str, Any] = {"steps": steps, "guidance": guidance}
        self._trainable: list[lora.LowRank] = []

    def times(self, steps: int) -> list[float]:
        """Evenly spaced."""
        return [1.0 - index / steps for index in range(steps + 1)]

    def noise(self, seeds: Sequence[int]) -> Tensor:
        """[B, T, H, W, 3]."""
        c = self.module.config
        shape = (c.frames, c.side_px, c.side_px, 3)
        return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])

    def condition(self, prompts: Sequence[str]) -> Tensor:
        """Word indices; raises InvalidInputError for a word that the network does not know."""
        return tokenize(prompts)

    def velocity(self, x_t: Tensor, t: float, condition: Any) -> Tensor:
        """Classifier-free guidance (arXiv 2207.12598) between the empty and the given prompt; 1 = no guidance."""
        words: Tensor = condition
        if self.guidance == 1.0:
            x_0: Tensor = self.module(x_t, x_t.new_full((len(x_t),), t), words)
        else:
            pair = self.module(torch.cat([x_t, x_t]), x_t.new_full((2 * len(x_t),), t),
                               torch.cat([words, torch.zeros_like(words)]))
            given, empty = pair.chunk(2)
            x_0 = empty + self.guidance * (given - empty)
        return velocity(x_t, x_0, x_t.new_full((len(x_t),), t))

    def decode(self, x_0: Tensor) -> Tensor:
        """[-1, 1] -> [0, 1], clipped."""
        return ((x_0 + 1.0) / 2.0).clamp(0.0, 1.0)

    def add_lora(self, rank: int, seed: int) -> None:
        """On attention, feed-forward and output layers."""
        self._trainable = lora.add(self.module, ADAPTED_LAYERS, rank, seed)

    def parameters(self) -> list[nn.Parameter]:
        """up and down of each adapted layer."""
        return [parameter for adapter in self._trainable for parameter in (adapter.up, adapter.down)]

    def base(self) -> AbstractContextManager[None]:
        """Without what `add_lora` added last."""
        return lora.disabled(self._trainable)

    def save(self, folder: Path, about: Mapping[str, Any]) -> str:
        """All adapters joined, so that base weights + this folder are the policy."""
        tensors = {name: value.contiguous() for name, value in lora.state(self.module, ADAPTED_LAYERS).items()}
        save_file(tensors, folder / ADAPTER_FILE)
        facts = {"base_revision": self.base_revision, "name": self.name, **about}
        (folder / "adapter.json").write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return sha256_hex((folder / ADAPTER_FILE).read_bytes())

    def load(self, folder: Path) -> None:
        """Raises NotFoundError without the files, ConfigError where the adapter belongs to other weights."""
        if not (folder / ADAPTER_FILE).is_file():
            raise NotFoundError(f"no adapter in {folder.name!r}", where=str(folder), hint="is the model id right?")
        about = json.loads((folder / "adapter.json").read_text(encoding="utf-8"))
        if about["base_revision"] != self.base_revision:
            raise ConfigError(f"the adapter was made for the weights {about['base_revision'][:12]}, "
                              f"these are {self.base_revision[:12]}", where=str(folder))
        lora.load(self.module, ADAPTED_LAYERS, load_file(folder / ADAPTER_FILE))
        self.revision = content_id(self.revision, sha256_hex((folder / ADAPTER_FILE).read_bytes()))
        self.name = f"{self.name}+{folder.name[:8]}"

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[bytes]:
        """PNG, or MP4 at CLIP_FPS, of each prompt and seed, whatever else is in the batch."""
        return [self._encode(frames) for frames in self.frames(prompts, seeds)]

    def frames(self, prompts: Sequence[str], seeds: Sequence[int]) -> NDArray[np.uint8]:
        """uint8 [B, T, H, W, 3], one for each prompt and seed."""
        chunks = [(list(prompts[start:start + _ROWS]), list(seeds[start:start + _ROWS]))
                  for start in range(0, len(prompts), _ROWS)]
        return np.concatenate([self._pixels(texts, chosen)[:len(texts)] for texts, chosen in chunks])

    def _pixels(self, prompts: list[str], seeds: list[int]) -> NDArray[np.uint8]:
        """uint8 [_ROWS, T, H, W, 3]; rows after the last prompt repeat it."""
        missing = _ROWS - len(prompts)
        rows, noise = prompts + prompts[-1:] * missing, seeds + seeds[-1:] * missing
        with torch.no_grad():
            pixels = self.decode(euler(self, self.noise(noise), self.condition(rows), self.steps))
        return (pixels * 255.0).round().to(torch.uint8).numpy()

    def _encode(self, frames: NDArray[np.uint8]) -> bytes:
        return encode_png(frames[0]) if self.media_kind == "image" else encode_mp4(frames, CLIP_FPS)


def _policy(default: str, adapter: str, warehouse_root: str, steps: int, guidance: float,
            weights: str) -> SimulatedPolicy:
    policy = SimulatedPolicy(Path(weights) if weights else WEIGHTS / default, steps, guidance)
    if adapter:
        policy.load(Path(warehouse_root) / "models" / adapter)
    return policy


def image_policy(adapter: str = "", warehouse_root: str = "", steps: int = 4, guidance: float = 1.5,
                 weights: str = "") -> SimulatedPolicy:
    """The image generator; `adapter` is the model id of an alignment in `warehouse_root`, "" for the base."""
    return _policy("generator_image", adapter, warehouse_root, steps, guidance, weights)


def clip_policy(adapter: str = "", warehouse_root: str = "", steps: int = 4, guidance: float = 1.5,
                weights: str = "") -> SimulatedPolicy:
    """The clip generator; options as in `image_policy`."""
    return _policy("generator_clip", adapter, warehouse_root, steps, guidance, weights)


image_generator = image_policy
clip_generator = clip_policy
