"""Recipes of the two base generators: rectified flow on renders of every prompt, images and clips.

They are imperfect on purpose: short training leaves wrong counts, soft shapes and stray objects for alignment to mend.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from simulation.flow import FlowConfig, FlowTransformer, flow_loss, tokenize
from simulation.pretrain.run import Recipe
from simulation.render import render_clip, render_image
from simulation.scenes import PromptSpec, clip_specs, draw_scene, image_specs

IMAGE_FLOW = FlowConfig()
CLIP_FLOW = FlowConfig(frames=8, patch_frames=4)


def draw_image_spec(specs: list[PromptSpec], rng: np.random.Generator) -> PromptSpec:
    """Half the draws are single or counted prompts, which are 144 of the 1,248."""
    counted = 144
    return specs[int(rng.integers(counted))] if rng.random() < 0.5 else specs[int(rng.integers(counted, len(specs)))]


def _recipe(name: str, seed: int, steps: int, batch: int, config: FlowConfig) -> Recipe:
    clips = config.frames > 1
    specs = list(clip_specs() if clips else sorted(image_specs(), key=lambda spec: bool(spec.relation)))

    def loss(model: nn.Module, step: int) -> Tensor:
        rng = np.random.default_rng((seed, step))
        drawn = [specs[int(rng.integers(len(specs)))] if clips else draw_image_spec(specs, rng) for _ in range(batch)]
        render = render_clip if clips else render_image
        pixels = np.stack([render(draw_scene(spec, rng)) for spec in drawn])
        x_0 = torch.from_numpy(pixels).float() / 127.5 - 1.0
        assert isinstance(model, FlowTransformer)
        return flow_loss(model, x_0, tokenize([spec.text() for spec in drawn]), torch.Generator().manual_seed(step))

    return Recipe(name, seed, steps, 1.5e-3, 300, lambda: FlowTransformer(config), loss, average=0.995)


def image_recipe() -> Recipe:
    """The image generator: 16 patches of 8 px."""
    return _recipe("generator_image", seed=11, steps=5000, batch=64, config=IMAGE_FLOW)


def clip_recipe() -> Recipe:
    """The clip generator: 32 patches of 4 frames x 8 px."""
    return _recipe("generator_clip", seed=12, steps=4000, batch=32, config=CLIP_FLOW)
