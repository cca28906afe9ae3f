"""A warehouse with two versions of one dataset, made as the rooms above make them: raters vote, votes are merged, a
version is built, more votes come, the next version is built; a reward model and a policy learn from the first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from annotation import consensus
from annotation.consensus import ConsensusConfig
from tests.warehouse.preference_rows import TEMPLATE, World, config
from warehouse import Warehouse
from warehouse.datasets import build
from warehouse.records import Row, annotator_row, instruction_row, licence_row, rationale_row, vote_row

RATERS = ("ada", "ben", "cyd", "dov")
TEXTS = (
    "a red ball on grass",
    "a red ball on the grass",
    "two cats in a basket",
    "an old lighthouse at dusk",
    "snow over a wooden bridge",
    "a bowl of ripe cherries",
    "three kites above the sea",
    "a clock without hands",
    "a paper boat in the rain",
    "a violin beside a window",
    "a violin near a window",
    "an empty railway station",
)
START = datetime(2026, 3, 1)


@dataclass(frozen=True)
class Ids:
    """What the tests ask for by id."""

    pairs: tuple[str, ...]
    raters: dict[str, str]
    late_rater: str
    rationale: str
    consensus: tuple[str, str]


def rater(world: World, name: str) -> str:
    return str(world.row("annotators", annotator_row("human", name, {"name": name}))["annotator_id"])


def _vote(world: World, pair: str, dimension: str, name: str, label: str, number: int, said: str | None = None) -> None:
    when = START + timedelta(minutes=number)
    row = vote_row(
        "task-1" if number == 0 else None,
        pair,
        dimension,
        rater(world, name),
        label,
        "test",
        when,
        left_side="ab"[number % 2],
        seconds=2.0 + number % 5,
        guideline_version=1 + number % 2,
        rationale_id=said,
    )
    world.row("votes", row)


def _label(pair: int, turn: int) -> str:
    """Raters agree on most pairs, and each differs somewhere."""
    if pair == 7:
        return "tie"
    return "b" if (pair % 3 == 0) != (turn == pair % 7) else "a"


def _first(world: World) -> tuple[list[str], str]:
    for task in ("t2i", "t2v"):
        for dimension in ("overall", "text_alignment"):
            world.row("instructions", instruction_row(task, dimension, 1, "pairwise", f"{dimension} {TEMPLATE}"))
    world.row("licences", licence_row("CC-BY-4.0"))
    pairs = []
    for number, text in enumerate(TEXTS[:-1]):
        # The ninth pair shows the pictures of the first under another prompt.
        media = 0 if number == 8 else number
        task = "t2v" if number == 3 else "t2i"
        rival = "sun" if number % 2 else "moon"
        pairs.append(world.pair(text, media, task=task, generator="tiny", rival=rival))
    said = world.row(
        "rationales", rationale_row(pairs[2], "overall", "a", "the SECRETWORD whiskers", "human", rater(world, "dov"))
    )
    for number, pair in enumerate(pairs):
        for turn, name in enumerate(RATERS):
            mine = str(said["rationale_id"]) if (number, name) == (2, "dov") else None
            _vote(world, pair, "overall", name, _label(number, turn), 4 * number + turn, mine)
        if number % 2:
            _vote(world, pair, "text_alignment", "ada", "a", 100 + number)
    world.row("campaigns", {"campaign_id": "campaign-1", "name": "first", "task": "t2i"})
    world.row("annotation_tasks", {"task_id": "task-1", "campaign_id": "campaign-1", "pair_id": pairs[0]})
    world.save()
    return pairs, str(said["rationale_id"])


def _merge(warehouse: Warehouse) -> str:
    merging = ConsensusConfig(vote_sources=("test",), method="majority", resamples=50)
    return str(consensus.run(merging, warehouse).outputs["consensus_id"])


def _learn(world: World, candidate: str) -> None:
    """A reward model of version 1, a policy aligned by it, and what they were used for."""
    made = {"created_at": START}
    model = {"model_id": "rm-1", "kind": "reward_model", "name": "judge", "dataset_name": "calm", "dataset_version": 1}
    world.row("models", model | made)
    policy = {"model_id": "policy-1", "kind": "policy", "name": "painter", "reward_model_id": "rm-1"}
    world.row("models", policy | made)
    world.row("rewards", {"reward_id": "reward-1", "model_id": "rm-1", "candidate_id": candidate, "value": 0.7})
    world.row("reference_ranks", {"rank_id": "rank-1", "model_id": "rm-1", "candidate_id": candidate, "rank": 0})
    world.row("evaluations", {"evaluation_id": "evaluation-1", "model_id": "rm-1", "metric": "accuracy", "value": 0.9})


def fill(warehouse: Warehouse) -> Ids:
    """Dataset `calm` in versions 1 and 2: one pair more, and a late rater who votes on two old pairs."""
    world = World(warehouse)
    pairs, said = _first(world)
    first = _merge(warehouse)
    build.run(config(name="calm", consensus_ids=(first,)), warehouse)
    pairs.append(world.pair(TEXTS[-1], 20, generator="tiny", rival="sun"))
    for turn, name in enumerate(RATERS):
        _vote(world, pairs[-1], "overall", name, "a", 200 + turn)
    for number in (1, 4):
        _vote(world, pairs[number], "overall", "eve", "b", 300 + number)
    late = rater(world, "eve")
    pair: Row = next(row for row in world.rows["pairs"] if row["pair_id"] == pairs[-1])
    _learn(world, pair["candidate_a"])
    world.save()
    second = _merge(warehouse)
    build.run(config(name="calm", consensus_ids=(second,)), warehouse)
    raters = {name: annotator_row("human", name)["annotator_id"] for name in RATERS}
    return Ids(tuple(pairs), raters, late, said, (first, second))
