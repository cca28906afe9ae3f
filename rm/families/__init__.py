"""Families of vision-language models: one small file each for chat template, image tokens, positions and pixels."""

from __future__ import annotations

from pathlib import Path

from rm.families.family import Family
from rm.families.internvl import InternVL
from rm.families.qwen2_5_vl import Qwen25VL
from rm.families.qwen3_vl import Qwen3VL
from warehouse.errors import ConfigError

FAMILIES: dict[str, type[Family]] = {family.model_type: family for family in (Qwen25VL, Qwen3VL, InternVL)}


def load_family(path: str | Path, max_pixels: int | None = None) -> Family:
    """The family that a checkpoint's config.json names; raises ConfigError for an unknown one."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path)
    if config.model_type not in FAMILIES:
        raise ConfigError(f"no family for model type {config.model_type!r}", where=str(path),
                          hint=f"one of {', '.join(FAMILIES)}")
    return FAMILIES[config.model_type](path, config, max_pixels)
