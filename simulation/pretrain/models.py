"""The committed models by name, and how their weights and cards are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from simulation import vlm
from simulation.pretrain.generators import clip_recipe, image_recipe
from simulation.pretrain.run import WEIGHTS, Recipe
from simulation.pretrain.vision_language import recipe as vlm_recipe

MODELS: dict[str, Callable[[], Recipe]] = {
    "generator_image": image_recipe,
    "generator_clip": clip_recipe,
    "vlm_small": partial(vlm_recipe, "small", steps=3000, learning_rate=2e-3),
    "vlm_middle": partial(vlm_recipe, "middle", steps=3300, learning_rate=1.5e-3),
    "vlm_large": partial(vlm_recipe, "large", steps=2700, learning_rate=1e-3, half=True),
}


def save(name: str, model: Any, weights: Path = WEIGHTS) -> Path:
    """Write a trained model's safetensors and its config; returns the folder."""
    folder = weights / name
    folder.mkdir(parents=True, exist_ok=True)
    if name.startswith("generator"):
        from simulation.policy import save_generator

        save_generator(model, folder)
    else:
        model.save_pretrained(folder)
        vlm.write_tokenizer(folder)
    return folder


def write_card(name: str, entries: dict[str, Any], weights: Path = WEIGHTS) -> None:
    """Add entries to card.json, or change them."""
    path = weights / name / "card.json"
    card = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(card | entries, indent=2) + "\n", encoding="utf-8")
