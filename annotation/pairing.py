"""Stage `pairing`: which candidates of a prompt are compared.

`random` takes pairs in an order fixed by hash; `round_robin` walks the rounds of the circle method, so that after
every round each candidate has met one more. Both depend on candidate ids and the seed alone: the same candidates give
the same pairs in any order, on any machine, and new candidates of other prompts change nothing.

Left out on purpose: pairs chosen by a model's uncertainty, and pairs across prompts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import canonical_json, content_id
from warehouse.records import TASKS, Row, pair_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

Couple = tuple[str, str]


class PairingConfig(StageConfig):
    """Candidates of one task, by generator and by source of their prompts ("" = any); 0 pairs a prompt = all."""

    task: str = "t2i"
    generator_id: str = ""
    source: str = ""
    strategy: Literal["random", "round_robin"] = "random"
    pairs_per_prompt: int = Field(default=3, ge=0)
    seed: int = 0


_CANDIDATES = """
SELECT c.candidate_id, c.prompt_id, c.media_id FROM candidates c JOIN prompts p USING (prompt_id)
WHERE c.task = ? AND (? = '' OR c.generator_id = ?) AND (? = '' OR p.source = ?) ORDER BY c.candidate_id
"""


def random_order(candidates: Sequence[str], seed: int) -> list[Couple]:
    """All couples of the candidates, by hash."""
    couples = itertools.combinations(sorted(candidates), 2)
    return sorted(couples, key=lambda couple: content_id("random pairing", seed, *couple))


def round_robin(candidates: Sequence[str], seed: int) -> list[Couple]:
    """All couples, round by round: the circle method over the candidates in hash order."""
    ring: list[str | None] = [*sorted(candidates, key=lambda name: content_id("round robin", seed, name))]
    if len(ring) % 2:
        ring.append(None)
    half, couples = len(ring) // 2, []
    for _ in range(len(ring) - 1):
        for x, y in zip(ring[:half], reversed(ring[half:]), strict=True):
            if x is not None and y is not None:
                couples.append((min(x, y), max(x, y)))
        ring = [ring[0], ring[-1], *ring[1:-1]]
    return couples


def pairs_of_prompt(members: Sequence[Row], config: PairingConfig) -> list[Couple]:
    """The couples to compare among one prompt's candidates; two candidates with the same bytes are no question."""
    media = {row["candidate_id"]: row["media_id"] for row in members}
    order = {"random": random_order, "round_robin": round_robin}[config.strategy]
    couples = [(x, y) for x, y in order(list(media), config.seed) if media[x] != media[y]]
    return couples[: config.pairs_per_prompt or None]


def _grouped(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["prompt_id"], []).append(row)
    return groups


def run(config: PairingConfig, warehouse: Warehouse) -> Receipt:
    """Write the pairs. Raises ConfigError where no candidate fits; candidates without media are counted."""
    if config.task not in TASKS:
        raise ConfigError(f"unknown task {config.task!r}", hint=f"one of {', '.join(TASKS)}")
    filters = [config.task, config.generator_id, config.generator_id, config.source, config.source]
    rows = warehouse.rows(_CANDIDATES, filters)
    shown = [row for row in rows if row["media_id"] is not None]
    if not rows:
        raise ConfigError(
            f"no {config.task} candidates of generator {config.generator_id or 'any'!r} and prompt source "
            f"{config.source or 'any'!r}",
            hint="generate or ingest candidates first",
        )

    def body(recorder: Recorder) -> None:
        made: list[Row] = []
        for prompt_id, members in sorted(_grouped(shown).items()):
            couples = pairs_of_prompt(members, config)
            made += [pair_row(prompt_id, x, y, config.task, config.strategy, "pairing") for x, y in couples]
        recorder.count("read", len(rows))
        recorder.count("media_absent", len(rows) - len(shown))
        recorder.count("pairs", warehouse.merge("pairs", made, run_id=recorder.run_id))
        recorder.output("pairs", len(made))
        recorder.output("pair_digest", content_id("pairs", *sorted(row["pair_id"] for row in made)))

    listed = canonical_json([[row["candidate_id"], row["prompt_id"], row["media_id"]] for row in rows])
    return run_stage("pairing", config, warehouse, {"candidates": content_id("candidates", listed)}, body)
