"""A tiny world for the reward model's tests: a random checkpoint and a dataset version whose voters like bright."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rm import instructions
from rm.context import Frames
from simulation import vlm
from warehouse import Warehouse
from warehouse.datasets import build
from warehouse.hashing import content_id
from warehouse.importers.media import media_row
from warehouse.media.encode import encode_mp4, encode_png
from warehouse.records import Row, candidate_row, generator_row, pair_row, prompt_row, rationale_row

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "instructions"
TEMPLATE = "overall quality . image 1 {image_1} image 2 {image_2} prompt : {prompt} . is image 2 better than image 1 ?"
PROMPT_FIRST = "prompt : {prompt} . image 1 {image_1} image 2 {image_2} is image 2 better than image 1 ?"
COLOURS, SHAPES = ("red", "yellow", "green", "blue", "purple", "black"), ("circle", "square", "triangle", "cross")
PROMPTS = [f"{count} {colour} {shape}" for count in ("a", "two", "three") for colour in COLOURS for shape in SHAPES]


def checkpoint(folder: Path) -> Path:
    """A random small model, its weights enlarged so that scores differ visibly."""
    torch.manual_seed(0)
    model = vlm.build("small")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "embed" not in name:
                parameter.mul_(3.0)
    model.save_pretrained(folder)
    vlm.write_tokenizer(folder)
    return folder


def picture(rng: np.random.Generator, level: int, frames: int = 1, side: int = 32) -> NDArray[np.uint8]:
    """Frames [T, H, W, 3] of noise around a brightness level, a dark square in the middle."""
    noise = rng.integers(-30, 30, (frames, side, side, 3))
    pixels = np.clip(level + noise, 0, 255).astype(np.uint8)
    pixels[:, side // 4:-side // 4, side // 4:-side // 4] //= 4
    return pixels


def frames(seed: int, count: int = 1, side: int = 32) -> Frames:
    """Noise at quarter-second steps."""
    pixels = np.random.default_rng(seed).integers(0, 255, (count, side, side, 3)).astype(np.uint8)
    return Frames(pixels, tuple(0.25 * index for index in range(count)))


def dataset(warehouse: Warehouse, images: int = 48, clips: int = 12) -> Row:
    """Build version 1 of the dataset `bright`; returns the stage's outputs."""
    generator = generator_row("noise", "test", "1")
    instructions.run(instructions.InstructionConfig(file=CONFIGS / "simulation.yaml"), warehouse)
    rows: dict[str, list[Row]] = defaultdict(list)
    rows["generators"].append(generator)
    rows["consensus_runs"].append({"consensus_id": "c1", "method": "majority"})
    for index in range(images + clips):
        for table, row in _pair(warehouse, index, index >= images, generator["generator_id"]):
            rows[table].append(row)
    with warehouse.commit():
        for table, listed in rows.items():
            warehouse.merge(table, listed)
    config = build.BuildConfig(name="bright", consensus_ids=("c1",), instruction_version=2, validation=0.2, test=0.2)
    return dict(build.run(config, warehouse).outputs)


def _pair(warehouse: Warehouse, index: int, clip: bool, generator_id: str) -> Iterator[tuple[str, Row]]:
    rng = np.random.default_rng(index)
    task = "t2v" if clip else "t2i"
    text = PROMPTS[index % len(PROMPTS)] + (" moving left" if clip else "")
    prompt = prompt_row(text, task, "video" if clip else "image", "test", domain="ood" if index % 6 == 5 else "id")
    yield "prompts", prompt
    levels = rng.choice([40, 90, 140, 190, 240], 2, replace=False).tolist()
    made = []
    for seed, level in enumerate(levels):
        pixels = picture(rng, level, 6 if clip else 1)
        info = warehouse.media.put(encode_mp4(pixels, 4.0) if clip else encode_png(pixels[0]))
        yield "media", media_row(warehouse, info, "test")
        made.append(candidate_row(prompt["prompt_id"], generator_id, info.media_id, seed, {}, task, "test"))
        yield "candidates", made[-1]
    pair = pair_row(prompt["prompt_id"], made[0]["candidate_id"], made[1]["candidate_id"], task, "random", "test")
    yield "pairs", pair
    a_wins = (levels[0] > levels[1]) == (pair["candidate_a"] == made[0]["candidate_id"])
    p_a = 0.5 if index % 12 == 10 else 0.9 if a_wins else 0.1
    yield "preferences", {
        "preference_id": content_id("p", pair["pair_id"]), "consensus_id": "c1", "pair_id": pair["pair_id"],
        "dimension": "overall", "p_a": p_a, "p_tie": float(p_a == 0.5), "n_votes": 3, "n_a": 0, "n_b": 0, "n_tie": 0,
        "n_both_bad": 0, "split_population": False}
    if p_a != 0.5:
        yield "rationales", rationale_row(pair["pair_id"], "overall", "a" if a_wins else "b", "warmer", "human", "x")
