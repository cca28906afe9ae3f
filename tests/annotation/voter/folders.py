"""Folders of pictures and clips to try, and a campaign over one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipelines.cli.try_ import prepare
from warehouse import Warehouse
from warehouse.media.encode import encode_mp4


def pictures(folder: Path, prompts: tuple[str, ...] = ("a red cat", "two_blue dogs"), size: int = 96) -> Path:
    """`alpha/PROMPT.png` and `beta/PROMPT.png`; the generator's name is also in the files."""
    for column, generator in enumerate(("alpha", "beta")):
        (folder / generator).mkdir(parents=True)
        for row, prompt in enumerate(prompts):
            pixels = np.full((size, size, 3), (60 * row % 256, 200 * column, 120), np.uint8)
            pixels[size // 4 : size // 2, size // 4 : size // 2] = (250, 40 * row % 256, 90)
            told = PngInfo()
            told.add_text("parameters", f"{prompt}, model {generator}")
            Image.fromarray(pixels).save(folder / generator / f"{prompt}.png", pnginfo=told)
    return folder


def clips(folder: Path, frames: tuple[int, int] = (24, 16)) -> Path:
    """`a ball rolls__GENERATOR.mp4`: a square that crosses the clip, at 8 frames a second."""
    folder.mkdir()
    for generator, count in zip(("fast", "slow"), frames, strict=True):
        made = np.full((count, 64, 64, 3), 40, np.uint8)
        for index in range(count):
            made[index, 24:40, 2 * index : 2 * index + 12] = (240, 180, 60)
        (folder / f"a ball rolls__{generator}.mp4").write_bytes(encode_mp4(made, 8.0))
    return folder


def campaign_of(warehouse: Warehouse, folder: Path) -> str:
    """The campaign of a folder, prepared as the command does."""
    return prepare(warehouse, folder, None, "", "overall", 200)
