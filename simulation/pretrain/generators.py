"""Recipes of the two base generators: rectified flow on renders of every prompt, images and clips.

Their renders place objects on a lattice of nine points, those of clips in the middle at half time and at one speed: a
generator of this size that may place objects anywhere learns for hours before it commits to a place (a clip lattice of
nine points still left a stray object in every second clip). They stay imperfect: short training
leaves wrong counts, soft shapes and stray objects for alignment to mend.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from simulation.flow import FlowConfig, FlowTransformer, flow_loss, tokenize
from simulation.pretrain.run import Recipe
from simulation.render import render_clip, render_image
from simulation.scenes import CLIP_FRAMES, SIDE_PX, PromptSpec, Scene, SceneObject, clip_specs, draw_scene, image_specs

IMAGE_FLOW = FlowConfig()
CLIP_FLOW = FlowConfig(frames=CLIP_FRAMES, patch_frames=CLIP_FRAMES, width=256)
_LATTICE_PX, _SPEED_PX = 8.0, 1.5
_HALF_TIME = (CLIP_FRAMES - 1) / 2


def _snapped(item: SceneObject, velocity: tuple[float, float], clips: bool) -> SceneObject:
    """The object moved so that it is on a lattice point at half time."""
    places = [start + _HALF_TIME * speed for start, speed in zip((item.x_px, item.y_px), velocity, strict=True)]
    low, high = (2, 2) if clips else (1, 3)
    x, y = (min(max(round(place / _LATTICE_PX), low), high) * _LATTICE_PX - _HALF_TIME * speed
            for place, speed in zip(places, velocity, strict=True))
    return replace(item, x_px=x, y_px=y)


def _fits(scene: Scene) -> bool:
    """No overlap, and nothing leaves the picture by more than a tenth of a radius."""
    for index, item in enumerate(scene.objects):
        for other in scene.objects[:index]:
            if np.hypot(item.x_px - other.x_px, item.y_px - other.y_px) < 1.1 * (item.radius_px + other.radius_px):
                return False
        for start, speed in zip((item.x_px, item.y_px), scene.velocity_px, strict=True):
            ends = (start, start + (CLIP_FRAMES - 1) * speed)
            if min(ends) < 0.9 * item.radius_px or max(ends) > SIDE_PX - 0.9 * item.radius_px:
                return False
    return True


def draw_lattice_scene(spec: PromptSpec, rng: np.random.Generator) -> Scene:
    """A scene that shows `spec`, with every object on the lattice."""
    while True:
        scene = draw_scene(spec, rng)
        velocity = (_SPEED_PX * float(np.sign(scene.velocity_px[0])), _SPEED_PX * float(np.sign(scene.velocity_px[1])))
        objects = tuple(_snapped(item, velocity, bool(spec.motion)) for item in scene.objects)
        scene = Scene(objects, scene.tint, velocity)
        if _fits(scene):
            return scene


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
        pixels = np.stack([render(draw_lattice_scene(spec, rng)) for spec in drawn])
        x_0 = torch.from_numpy(pixels).float() / 127.5 - 1.0
        assert isinstance(model, FlowTransformer)
        return flow_loss(model, x_0, tokenize([spec.text() for spec in drawn]), torch.Generator().manual_seed(step))

    return Recipe(name, seed, steps, 1.5e-3, 300, lambda: FlowTransformer(config), loss, average=0.995)


def image_recipe() -> Recipe:
    """The image generator: 16 patches of 8 px."""
    return _recipe("generator_image", seed=11, steps=5000, batch=64, config=IMAGE_FLOW)


def clip_recipe() -> Recipe:
    """The clip generator: 16 patches of 8 frames x 8 px."""
    return _recipe("generator_clip", seed=12, steps=4000, batch=32, config=CLIP_FLOW)
