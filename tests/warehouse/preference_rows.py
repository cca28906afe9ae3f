"""Preferences with real media for tests of dataset versions: rows as the rooms above write them, made by hand."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from functools import lru_cache

import numpy as np

from warehouse import Warehouse
from warehouse.datasets.build import BuildConfig
from warehouse.hashing import content_id
from warehouse.media.encode import encode_mp4, encode_png
from warehouse.records import (
    Row,
    annotator_row,
    candidate_row,
    generator_row,
    instruction_row,
    licence_row,
    pair_row,
    prompt_row,
    rationale_row,
    vote_row,
)

CONSENSUS = "consensus-1"
TEMPLATE = "prompt {prompt} one {image_1} two {image_2} is two better ?"


@lru_cache(maxsize=512)
def picture(seed: int) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 255, (16, 16, 3)).astype(np.uint8))


@lru_cache(maxsize=512)
def clip(seed: int) -> bytes:
    return encode_mp4(np.random.default_rng(seed).integers(0, 255, (4, 32, 32, 3)).astype(np.uint8), 8)


def config(**changes: object) -> BuildConfig:
    options = {"name": "demo", "consensus_ids": (CONSENSUS,), "validation": 0.2, "test": 0.2, "shard_bytes": 40_000}
    return BuildConfig.model_validate(options | changes)


def preference(pair_id: str, dimension: str, p_a: float, n_votes: int = 3, consensus: str = CONSENSUS) -> Row:
    n_a = round(p_a * n_votes)
    return {
        "preference_id": content_id("preference", consensus, pair_id, dimension),
        "consensus_id": consensus,
        "pair_id": pair_id,
        "dimension": dimension,
        "p_a": p_a,
        "p_tie": 0.25,
        "n_votes": n_votes,
        "n_a": n_a,
        "n_b": n_votes - n_a,
        "n_tie": 0,
        "n_both_bad": 0,
        "split_population": False,
    }


class World:
    """Rows by table, and the pairs in the order they were added."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.rows: dict[str, list[Row]] = {}
        self.pairs: list[Row] = []

    def row(self, table: str, row: Row) -> Row:
        self.rows.setdefault(table, []).append(row)
        return row

    def media(self, data: bytes, licence: str | None = None) -> str:
        info = self.warehouse.media.put(data)
        about = {key: value for key, value in asdict(info).items() if key != "extension"}
        about |= {"uri": self.warehouse.media.uri(info), "source": "test", "licence_id": licence}
        return str(self.row("media", about)["media_id"])

    def pair(
        self,
        text: str,
        number: int,
        *,
        task: str = "t2i",
        domain: str = "id",
        generator: str = "tiny",
        rival: str = "",
        licence: str | None = None,
        condition: bytes | None = None,
        with_media: bool = True,
    ) -> str:
        video = task in ("t2v", "i2v")
        condition_id = self.media(condition) if condition else None
        prompt = prompt_row(
            text, task, "video" if video else "image", "test", domain=domain, condition_media_id=condition_id
        )
        self.row("prompts", prompt)
        made = []
        for seed, name in ((2 * number, generator), (2 * number + 1, rival or generator)):
            maker = self.row("generators", generator_row(name, "test", "1"))
            media = self.media((clip if video else picture)(seed), licence) if with_media else None
            row = candidate_row(prompt["prompt_id"], maker["generator_id"], media, seed, {}, task, "test")
            made.append(self.row("candidates", row)["candidate_id"])
        pair = self.row("pairs", pair_row(prompt["prompt_id"], made[0], made[1], task, "random", "test"))
        self.pairs.append(pair)
        return str(pair["pair_id"])

    def votes(
        self, pair_id: str, dimension: str, p_a: float, text: str = "", n_votes: int = 3, consensus: str = CONSENSUS
    ) -> None:
        self.row("preferences", preference(pair_id, dimension, p_a, n_votes, consensus))
        rater = self.row("annotators", annotator_row("human", "ann"))
        label = "a" if p_a >= 0.5 else "b"
        when = datetime(2026, 1, 1)
        self.row("votes", vote_row(None, pair_id, dimension, rater["annotator_id"], label, "test", when))
        for verdict in ("a", "b") if text else ():
            said = f"{text} {verdict}"
            self.row("rationales", rationale_row(pair_id, dimension, verdict, said, "human", rater["annotator_id"]))

    def consensus(self, name: str = CONSENSUS) -> None:
        agreement = '{"overall": {"alpha": 0.5, "ci": [0.4, 0.6]}}'
        self.row("consensus_runs", {"consensus_id": name, "method": "majority", "agreement_json": agreement})

    def save(self, backwards: bool = False) -> None:
        """Commit and forget what was added; `backwards` writes the rows in the opposite order."""
        with self.warehouse.commit():
            for table, rows in self.rows.items():
                self.warehouse.merge(
                    table, rows[::-1] if backwards else rows, run_id="backwards" if backwards else "test"
                )
        self.rows.clear()


def fill(warehouse: Warehouse, prompts: int = 24, clips: int = 4, backwards: bool = False) -> World:
    """Pictures and clips of a few prompts, two pairs each, two dimensions, every second one with a rationale."""
    world = World(warehouse)
    world.consensus()
    world.row("licences", licence_row("CC-BY-4.0"))
    world.row("licences", licence_row("CC-BY-NC-4.0", non_commercial=True))
    for task in ("t2i", "t2v", "i2v", "edit"):
        for dimension in ("overall", "text_alignment"):
            world.row("instructions", instruction_row(task, dimension, 1, "pairwise", f"{dimension} {TEMPLATE}"))
    for number in range(prompts):
        task = "t2v" if number < clips else "t2i"
        domain = "ood" if number % 6 == 5 else "id"
        for turn in range(2):
            pair = world.pair(f"a thing of kind {number}", 2 * number + turn, task=task, domain=domain)
            for dimension in ("overall", "text_alignment"):
                p_a = (number + turn) % 4 / 4 + 0.125
                world.votes(pair, dimension, p_a, f"because of {number}" if turn else "")
    world.save(backwards)
    return world
