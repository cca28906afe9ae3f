"""Perception and gold on rendered scenes with planted faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from simulation.gold import score_frames
from simulation.perception import look, shows
from simulation.render import render_clip, render_image
from simulation.scenes import clip_specs, draw_scene, image_specs, parse_prompt
from simulation.tastes import TASTES, utility
from warehouse.errors import InvalidInputError


def _scenes(count: int, seed: int = 0) -> list[tuple[str, np.ndarray]]:
    rng, specs = np.random.default_rng(seed), list(image_specs())
    chosen = [specs[int(rng.integers(len(specs)))] for _ in range(count)]
    return [(spec.text(), render_image(draw_scene(spec, rng))) for spec in chosen]


def test_prompts_parse_back() -> None:
    specs = [*image_specs(), *clip_specs()]
    assert all(parse_prompt(spec.text()) == spec for spec in specs)
    assert len({spec.text() for spec in specs}) == len(specs) > 1500
    with pytest.raises(InvalidInputError):
        parse_prompt("a red dog")


def test_true_scenes_score_high_and_foreign_prompts_low() -> None:
    scenes = _scenes(60)
    assert all(shows(look(pixels[0]), parse_prompt(text)) for text, pixels in scenes)
    own = [score_frames(pixels, text)["alignment"] for text, pixels in scenes]
    other = [score_frames(scenes[i - 1][1], text)["alignment"] for i, (text, _) in enumerate(scenes)]
    assert min(own) > 0.8 and np.mean(own) > 0.95 and np.mean(other) < 0.5


@pytest.mark.parametrize("damage", ["blur", "noise"])
def test_quality_falls_smoothly_with_damage(damage: str) -> None:
    """Mean gold over 30 scenes falls with every step of damage, and no step is a cliff."""
    scenes, rng = _scenes(30, seed=1), np.random.default_rng(0)
    noise = rng.normal(size=(32, 32, 3))
    means = []
    for amount in np.linspace(0.0, 1.0, 9):
        damaged = [(text, ndimage.gaussian_filter(p[0].astype(float), (1.6 * amount, 1.6 * amount, 0))
                    if damage == "blur" else p[0] + 60 * amount * noise) for text, p in scenes]
        pixels = [(text, np.clip(np.rint(p), 0, 255).astype(np.uint8)[None]) for text, p in damaged]
        means.append(np.mean([utility(score_frames(p, text), "large_warm", "overall") for text, p in pixels]))
    steps = np.diff(means)
    assert means[0] - means[-1] > 0.1
    assert steps.max() < 0.01 and steps.min() > -0.12


def test_planted_faults_lower_alignment() -> None:
    rng = np.random.default_rng(2)
    spec = parse_prompt("two blue squares")
    scene = draw_scene(spec, rng)
    true = score_frames(render_image(scene), spec.text())["alignment"]
    missing = replace(scene, objects=scene.objects[:1])
    wrong_colour = replace(scene, objects=tuple(replace(o, colour="red") for o in scene.objects))
    wrong_shape = replace(scene, objects=tuple(replace(o, shape="circle") for o in scene.objects))
    for fault in (missing, wrong_colour, wrong_shape):
        assert score_frames(render_image(fault), spec.text())["alignment"] < true - 0.2


def test_motion_is_read_from_the_clip() -> None:
    rng = np.random.default_rng(3)
    clip = render_clip(draw_scene(parse_prompt("a red square moving left"), rng))
    forward = score_frames(clip, "a red square moving left")
    backward = score_frames(clip[::-1], "a red square moving left")
    shuffled = score_frames(clip[np.random.default_rng(0).permutation(8)], "a red square moving left")
    assert forward["alignment"] > 0.9 > backward["alignment"] + 0.3
    assert forward["motion"] > 0.9 > shuffled["motion"] + 0.2


def test_tastes_are_opposite() -> None:
    scores = {"alignment": 0.5, "quality": 0.5, "motion": 1.0, "size": 0.9, "warmth": 0.9, "presence": 1.0}
    small = scores | {"size": 0.1, "warmth": 0.1}
    assert utility(scores, "large_warm", "overall") > utility(small, "large_warm", "overall") + 0.2
    assert utility(small, "small_cool", "overall") > utility(scores, "small_cool", "overall") + 0.2
    assert all(0.0 <= utility(scores, taste, "overall") <= 1.0 for taste in TASTES)


@pytest.mark.parametrize("pixels", [np.zeros((1, 32, 32, 3), np.uint8), np.full((1, 32, 32, 3), 255, np.uint8),
                                    np.random.default_rng(0).integers(0, 255, (1, 32, 32, 3)).astype(np.uint8)])
def test_any_picture_has_a_low_score(pixels: np.ndarray) -> None:
    scores = score_frames(pixels, "a red circle")
    assert all(0.0 <= value <= 1.0 for value in scores.values()) and scores["alignment"] < 0.45
