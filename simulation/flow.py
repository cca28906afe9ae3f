"""A tiny text-conditioned rectified-flow transformer over the patches of a picture or clip.

x_t = (1 - t) x_0 + t noise. The network predicts x_0 (velocity prediction with a width below the patch dimension
stalls), and velocity is derived: v = (x_t - x_0) / t. Prompt words are tokens in the same sequence; time enters by
adaptive layer norm (Peebles & Xie, arXiv 2212.09748). Follows Liu et al., arXiv 2209.03003.

Left out on purpose: sampling (alignment/sampling.py owns it) and everything about files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional as F

from simulation.scenes import COLOURS, COUNT_WORDS, MOTIONS, PLURALS, SHAPES, SIZES
from warehouse.errors import InvalidInputError

WORDS = (
    "<empty>",
    *COUNT_WORDS.values(),
    *SIZES,
    *COLOURS,
    *SHAPES,
    *PLURALS.values(),
    "left",
    "of",
    "above",
    "moving",
    "staying",
    *(word for word in MOTIONS if word != "left"),
)
_INDEX = {word: index for index, word in enumerate(WORDS)}
PROMPT_TOKENS = 12
_SMALLEST_T = 0.05


class FlowConfig(BaseModel):
    """Sizes of the network; a patch spans `patch_frames` frames and `patch_px` x `patch_px` pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    frames: int = 1
    side_px: int = 32
    patch_frames: int = 1
    patch_px: int = 8
    width: int = 192
    layers: int = 4
    heads: int = 4

    @property
    def patch_values(self) -> int:
        return self.patch_frames * self.patch_px**2 * 3

    @property
    def tokens(self) -> int:
        return (self.frames // self.patch_frames) * (self.side_px // self.patch_px) ** 2


def tokenize(prompts: Sequence[str]) -> Tensor:
    """Word indices [B, PROMPT_TOKENS], 0 = no word; an unknown word raises InvalidInputError."""
    rows = []
    for prompt in prompts:
        words = prompt.split()
        unknown = [word for word in words if word not in _INDEX]
        if unknown or len(words) > PROMPT_TOKENS:
            raise InvalidInputError(f"the simulated generator cannot read {prompt!r}: {unknown or 'too long'}")
        rows.append([_INDEX[word] for word in words] + [0] * (PROMPT_TOKENS - len(words)))
    return torch.tensor(rows, dtype=torch.long).reshape(len(rows), PROMPT_TOKENS)


class Block(nn.Module):
    """Pre-norm attention and feed-forward, both modulated by time; residual gates start open."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1 = nn.LayerNorm(width, elementwise_affine=False)
        self.norm_2 = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, 3 * width)
        self.down = nn.Linear(3 * width, width)
        self.modulation = nn.Linear(width, 4 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        shift_1, scale_1, shift_2, scale_2 = self.modulation(time)[:, None].chunk(4, -1)
        batch, tokens, width = x.shape
        normed = self.norm_1(x) * (1 + scale_1) + shift_1
        q, k, v = self.qkv(normed).view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
        x = x + 0.7 * self.out(attended)
        normed = self.norm_2(x) * (1 + scale_2) + shift_2
        widened: Tensor = self.down(F.gelu(self.up(normed), approximate="tanh"))
        return x + 0.7 * widened


class FlowTransformer(nn.Module):
    """Predicts x_0 in [-1, 1] from x_t; tensors are [B, T, H, W, 3]."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(len(WORDS), config.width)
        self.word_places = nn.Parameter(torch.randn(PROMPT_TOKENS, config.width) * 0.5)
        self.places = nn.Parameter(torch.randn(config.tokens, config.width) * 0.5)
        self.read = nn.Linear(config.patch_values, config.width)
        self.time = nn.Sequential(
            nn.Linear(64, config.width), nn.SiLU(), nn.Linear(config.width, config.width), nn.SiLU()
        )
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.write = nn.Linear(config.width, config.patch_values)

    def patchify(self, x: Tensor) -> Tensor:
        """[B, T, H, W, 3] -> [B, tokens, patch_values]."""
        c, batch = self.config, x.shape[0]
        grid = c.side_px // c.patch_px
        x = x.view(batch, c.frames // c.patch_frames, c.patch_frames, grid, c.patch_px, grid, c.patch_px, 3)
        return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(batch, c.tokens, c.patch_values)

    def unpatchify(self, patches: Tensor) -> Tensor:
        """Inverse of `patchify`."""
        c, batch = self.config, patches.shape[0]
        grid = c.side_px // c.patch_px
        x = patches.view(batch, c.frames // c.patch_frames, grid, grid, c.patch_frames, c.patch_px, c.patch_px, 3)
        return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(batch, c.frames, c.side_px, c.side_px, 3)

    def forward(self, x_t: Tensor, t: Tensor, words: Tensor) -> Tensor:
        """x_0 estimate [B, T, H, W, 3] for x_t, t [B] in [0, 1] and word indices [B, PROMPT_TOKENS]."""
        time = self.time(_time_features(t))
        text = self.words(words) + self.word_places
        x = torch.cat([text, self.read(self.patchify(x_t)) + self.places], dim=1)
        for block in self.blocks:
            x = block(x, time)
        return self.unpatchify(self.write(self.norm(x[:, PROMPT_TOKENS:])))


def _time_features(t: Tensor) -> Tensor:
    """Sinusoids [B, 64] of t in [0, 1]."""
    frequencies = torch.exp(torch.arange(32, device=t.device) * (-math.log(1000.0) / 32)) * 1000.0
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def velocity(x_t: Tensor, x_0: Tensor, t: Tensor) -> Tensor:
    """v = noise - x_0 implied by x_t and an estimate of x_0; t [B] is kept away from 0."""
    return (x_t - x_0) / t.clamp_min(_SMALLEST_T).view(-1, *[1] * (x_t.dim() - 1))


def flow_loss(model: FlowTransformer, x_0: Tensor, words: Tensor, generator: torch.Generator) -> Tensor:
    """Mean squared error of x_0, weighted 1 / t, at logit-normal times; a tenth of the prompts are emptied.

    The velocity weight 1 / t^2 spends the network on texture: shapes and counts stay wrong (decisions.md).
    """
    batch = x_0.shape[0]
    t = torch.sigmoid(torch.randn(batch, generator=generator) * 1.2 + 0.6)
    noise = torch.randn(x_0.shape, generator=generator)
    dropped = torch.rand(batch, generator=generator) < 0.1
    shape = (-1, *[1] * (x_0.dim() - 1))
    x_t = (1 - t.view(shape)) * x_0 + t.view(shape) * noise
    estimate = model(x_t, t, words.masked_fill(dropped[:, None], 0))
    error: Tensor = (estimate - x_0).square().flatten(1).mean(1)
    return (error / t.clamp_min(0.25)).mean()
