"""Rows and pictures that a dataset can be built of, made by hand: prompts, pairs, and what raters together prefer."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from warehouse import Warehouse
from warehouse.hashing import content_id
from warehouse.media.encode import encode_png
from warehouse.records import Row, candidate_row, generator_row, instruction_row, pair_row, prompt_row

CONSENSUS = "benchmark"


def _picture(warehouse: Warehouse, seed: int, side_px: int) -> Row:
    pixels = np.random.default_rng(seed).integers(0, 255, (side_px, side_px, 3)).astype(np.uint8)
    info = warehouse.media.put(encode_png(pixels))
    about = {key: value for key, value in asdict(info).items() if key != "extension"}
    return about | {"uri": warehouse.media.uri(info), "source": "benchmark"}


def _preference(pair_id: str, number: int) -> Row:
    return {
        "preference_id": content_id("preference", CONSENSUS, pair_id),
        "consensus_id": CONSENSUS,
        "pair_id": pair_id,
        "dimension": "overall",
        "p_a": number % 5 / 4,
        "p_tie": 0.0,
        "n_votes": 4,
    }


def fill(warehouse: Warehouse, pairs: int, side_px: int = 16) -> None:
    """`pairs` pairs of noise, each with its own prompt, under the consensus CONSENSUS."""
    rows: dict[str, list[Row]] = {name: [] for name in ("media", "prompts", "candidates", "pairs", "preferences")}
    maker = generator_row("noise", "benchmark", "1")
    for number in range(pairs):
        prompt = prompt_row(f"benchmark {number}", "t2i", "image", "benchmark")
        media = [_picture(warehouse, 2 * number + side, side_px) for side in (0, 1)]
        shown = [
            candidate_row(prompt["prompt_id"], maker["generator_id"], item["media_id"], side, {}, "t2i", "benchmark")
            for side, item in enumerate(media)
        ]
        pair = pair_row(prompt["prompt_id"], *(row["candidate_id"] for row in shown), "t2i", "random", "benchmark")
        rows["media"] += media
        rows["prompts"].append(prompt)
        rows["candidates"] += shown
        rows["pairs"].append(pair)
        rows["preferences"].append(_preference(pair["pair_id"], number))
    template = "prompt {prompt} one {image_1} two {image_2} is two better ?"
    with warehouse.commit():
        warehouse.merge("generators", [maker])
        warehouse.merge("instructions", [instruction_row("t2i", "overall", 1, "pairwise", template)])
        warehouse.merge("consensus_runs", [{"consensus_id": CONSENSUS, "method": "majority", "agreement_json": "{}"}])
        for table, listed in rows.items():
            warehouse.merge(table, listed)
