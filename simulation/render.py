"""Scene -> pixels, by signed distances with one pixel of anti-aliasing. No text, no randomness, no judging."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulation.scenes import CLIP_FRAMES, COLOURS, SIDE_PX, Scene, SceneObject

Plane = NDArray[np.float32]
_Y: Plane
_X: Plane
_Y, _X = (np.mgrid[0:SIDE_PX, 0:SIDE_PX] + 0.5).astype(np.float32)
_WARM = np.array([255.0, 224.0, 186.0], np.float32)
_NEUTRAL = np.array([240.0, 240.0, 238.0], np.float32)
_COOL = np.array([190.0, 220.0, 255.0], np.float32)
# Area of each shape at radius 1, used to turn a measured area into a radius.
SHAPE_AREA = {"circle": 3.1416, "square": 3.24, "triangle": 2.03, "cross": 2.2222}


def signed_distance(shape: str, dx: Plane, dy: Plane, radius: float) -> Plane:
    """Distance in pixels to the outline, negative inside; every shape has its centroid at (0, 0)."""
    if shape == "circle":
        return _plane(np.hypot(dx, dy) - radius)
    if shape == "square":
        return _plane(np.maximum(np.abs(dx), np.abs(dy)) - 0.9 * radius)
    if shape == "triangle":
        inner = 0.625 * radius
        return _plane(np.maximum(dy, np.maximum(-0.866 * dx - 0.5 * dy, 0.866 * dx - 0.5 * dy)) - inner)
    bar = radius / 3.0
    across = np.maximum(np.abs(dx) - radius, np.abs(dy) - bar)
    down = np.maximum(np.abs(dx) - bar, np.abs(dy) - radius)
    return _plane(np.minimum(across, down))


def _plane(values: NDArray[np.floating]) -> Plane:
    return values.astype(np.float32, copy=False)


def coverage(shape: str, x_px: float, y_px: float, radius_px: float) -> NDArray[np.float32]:
    """Share of each pixel that the shape covers, [32, 32] in [0, 1]."""
    return _plane(np.clip(0.5 - signed_distance(shape, _X - x_px, _Y - y_px, radius_px), 0.0, 1.0))


def background(tint: float) -> NDArray[np.float32]:
    """RGB in [0, 255] of a tint between -1 (cool) and 1 (warm)."""
    end = _WARM if tint > 0 else _COOL
    return _plane(_NEUTRAL + abs(tint) * (end - _NEUTRAL))


def _paint(picture: NDArray[np.float32], item: SceneObject, offset: tuple[float, float]) -> None:
    mask = coverage(item.shape, item.x_px + offset[0], item.y_px + offset[1], item.radius_px)[..., None]
    picture += mask * (np.array(COLOURS[item.colour], np.float32) - picture)


def render_image(scene: Scene) -> NDArray[np.uint8]:
    """uint8 [1, 32, 32, 3]."""
    return _render_frames(scene, 1)


def render_clip(scene: Scene) -> NDArray[np.uint8]:
    """uint8 [8, 32, 32, 3]; every object moves by the scene's velocity each frame."""
    return _render_frames(scene, CLIP_FRAMES)


def _render_frames(scene: Scene, frames: int) -> NDArray[np.uint8]:
    out = np.empty((frames, SIDE_PX, SIDE_PX, 3), np.uint8)
    for index in range(frames):
        picture = np.broadcast_to(background(scene.tint), (SIDE_PX, SIDE_PX, 3)).copy()
        for item in scene.objects:
            _paint(picture, item, (scene.velocity_px[0] * index, scene.velocity_px[1] * index))
        out[index] = np.rint(picture).astype(np.uint8)
    return out
