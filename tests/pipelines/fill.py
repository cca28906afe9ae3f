"""A stage for the test of a full disk: pictures that do not compress, each committed as it is made."""

from __future__ import annotations

import numpy as np

from warehouse import Warehouse
from warehouse.importers.media import media_row
from warehouse.media.encode import encode_png
from warehouse.records import candidate_row, generator_row, prompt_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage


class FillConfig(StageConfig):
    """`files` pictures of noise, `size_px` wide and high."""

    source: str
    files: int
    size_px: int


def run(config: FillConfig, warehouse: Warehouse) -> Receipt:
    """Writes the pictures and their candidates."""
    prompt = prompt_row("noise", "t2i", "image", config.source)
    generator = generator_row("noise", "test", "1")

    def body(recorder: Recorder) -> None:
        with warehouse.commit():
            warehouse.merge("prompts", [prompt], run_id=recorder.run_id)
            warehouse.merge("generators", [generator], run_id=recorder.run_id)
        for seed in range(config.files):
            pixels = np.random.default_rng(seed).integers(0, 256, (config.size_px, config.size_px, 3), np.uint8)
            info = warehouse.media.put(encode_png(pixels))
            keys = (prompt["prompt_id"], generator["generator_id"], info.media_id)
            made = candidate_row(*keys, seed, {}, "t2i", "noise")
            with warehouse.commit():
                warehouse.merge("media", [media_row(warehouse, info, "noise")], run_id=recorder.run_id)
                recorder.count("candidates", warehouse.merge("candidates", [made], run_id=recorder.run_id))
        recorder.output("digest", warehouse.digest("SELECT candidate_id, media_id FROM candidates"))

    return run_stage("fill", config, warehouse, {}, body)
