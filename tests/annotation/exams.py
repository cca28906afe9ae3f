"""A campaign with pictures and known answers, for the tests of admission."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from annotation import pairing, tasks
from annotation.guideline import guideline
from annotation.questions import QuestionConfig
from annotation.questions import run as add_questions
from tests.annotation.world import candidates
from warehouse import Warehouse
from warehouse.media.encode import encode_png
from warehouse.records import Row

DIMENSIONS = ("overall", "visual_quality")


def pictures(warehouse: Warehouse, prompts: int) -> None:
    """Prompts with two pictures each, and their pairs."""
    media: dict[int, str | None] = {}
    for index in range(2 * prompts):
        pixels = np.full((64, 64, 3), 30 + 5 * index, np.uint8)
        pixels[16:40, 16 + index : 40 + index] = (240, 160, 10 * index % 255)
        media[index] = warehouse.media.put(encode_png(pixels)).media_id
    candidates(warehouse, prompts=prompts, each=2, media=media)
    pairing.run(pairing.PairingConfig(pairs_per_prompt=0), warehouse)


def known(warehouse: Warehouse, folder: Path, dimensions: tuple[str, ...] = DIMENSIONS) -> dict[str, str]:
    """Answers to all pairs, added from a table: the right answer of each pair."""
    rows = warehouse.rows("SELECT pair_id FROM pairs ORDER BY pair_id")
    answers = {row["pair_id"]: "ab"[index % 2] for index, row in enumerate(rows)}
    table = folder / "known.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["pair_id", "dimension", "label", "explanation"])
        writer.writerows([pair, dimension, label, "The other one has a smear; look at its left edge."]
                         for pair, label in answers.items() for dimension in dimensions)
    add_questions(QuestionConfig(file=table), warehouse)
    return answers


def campaign(warehouse: Warehouse, rules: dict[str, int]) -> Row:
    """A campaign that asks for admission; its row."""
    identity: dict[str, Any] = {"name": "first", "task": "t2i", "dimensions": DIMENSIONS, "guideline_version": 1,
                                "backend_options": {"admission": rules}}
    row = tasks.campaign_row("c1", identity, 1)
    warehouse.merge("campaigns", [row])
    warehouse.merge("dimensions", guideline("t2i", DIMENSIONS, 1))
    return row
