"""Stage `pairing`: which candidates of a prompt are compared.

    random        couples in an order fixed by hash
    round_robin   the rounds of the circle method: after each, every candidate has met one more
    swiss         one round: neighbours in the standings that have not met; run again after each round of votes
    uncertainty   where a vote tells most, over all prompts, and a share at random
    cross_prompt  an item that passed against one that failed, whatever their prompts (items.py), and some that passed

`random` and `round_robin` depend on candidate ids and the seed alone: the same candidates give the same pairs in any
order, on any machine, and new candidates of other prompts change nothing. `swiss` and `uncertainty` also read how
candidates stand (standings.py): by votes, or by a reward model's rows. The random share is never nothing, so that what
the model is sure of and wrong about is found out, and evaluation has pairs that nobody chose.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from annotation.ballots import Floats
from annotation.cross_prompt import cross_pairs, item_shares
from annotation.design import by_design, whitened
from annotation.standings import Couple, Standings, from_rewards, from_votes
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import canonical_json, content_id
from warehouse.records import TASKS, Row, pair_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage


class PairingConfig(StageConfig):
    """Candidates of one task, by generator, source of their prompts and their own ("" = any); 0 pairs a prompt = all.

    `across_generators` leaves out two candidates of one generator. `dimension`, `reward_model` (an id; "" = votes),
    `criterion` (bits that a vote tells about the lead, the entropy of its outcome, or the `design` of design.py on the
    embeddings `features` with `ridge`) and `random_share` are for the strategies that read standings. For
    `cross_prompt`, `pairs_per_prompt` is how many passed items each failed one meets and `tie_share` the share of pairs
    of two that passed.
    """

    task: str = "t2i"
    generator_id: str = ""
    source: str = ""
    candidate_source: str = ""
    across_generators: bool = False
    strategy: Literal["random", "round_robin", "swiss", "uncertainty", "cross_prompt"] = "random"
    dimension: str = "overall"
    reward_model: str = ""
    criterion: Literal["information", "entropy", "design"] = "information"
    features: str = ""
    ridge: float = Field(default=30.0, gt=0.0)
    random_share: float = Field(default=0.25, gt=0.0, le=1.0)
    tie_share: float = Field(default=0.25, ge=0.0, lt=1.0)
    pairs_per_prompt: int = Field(default=3, ge=0)
    seed: int = 0


_CANDIDATES = """
SELECT c.candidate_id, c.prompt_id, c.media_id, c.generator_id, c.task
FROM candidates c JOIN prompts p USING (prompt_id)
WHERE c.task = ? AND (? = '' OR c.generator_id = ?) AND (? = '' OR p.source = ?) AND (? = '' OR c.source = ?)
ORDER BY c.candidate_id
"""


_VECTORS = """
SELECT candidate_id, vector FROM embeddings WHERE model_id = ? AND candidate_id IN (SELECT unnest(?::VARCHAR[]))
"""
Features = Mapping[str, Floats]


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


def swiss(candidates: Sequence[str], standings: Standings, seed: int) -> list[Couple]:
    """One round: from the top, each candidate with the next one below that it has not met; the last may sit out."""

    def place(name: str) -> tuple[float, str]:
        return -standings.get(name).strength, content_id("swiss", seed, name)

    waiting, couples = sorted(candidates, key=place), []
    while waiting:
        x = waiting.pop(0)
        fresh = (y for y in waiting if (min(x, y), max(x, y)) not in standings.met)
        y = next(fresh, None)
        if y is not None:
            waiting.remove(y)
            couples.append((min(x, y), max(x, y)))
    return couples


def uncertain(couples: Sequence[Couple], standings: Standings, wanted: int, config: PairingConfig,
              features: Features | None = None) -> list[Couple]:
    """`wanted` couples that nobody voted on: a random share, then those of most information, or doubt, or by design.

    `features` of the candidates are for `design`; couples without them come last.
    """
    open_ones = set(couples) - standings.met
    by_hash = sorted(open_ones, key=lambda couple: content_id("random pairing", config.seed, *couple))
    chance = by_hash[: math.ceil(wanted * config.random_share)]
    if config.criterion == "design":
        rest = _designed(by_hash[len(chance) :], chance, standings, wanted - len(chance), config.ridge, features or {})
        return [*chance, *rest][:wanted]
    worth = standings.information if config.criterion == "information" else standings.doubt
    rest = sorted(by_hash[len(chance) :], key=lambda couple: -worth(*couple))
    return [*chance, *rest][:wanted]


def _designed(couples: Sequence[Couple], chance: Sequence[Couple], standings: Standings, wanted: int, ridge: float,
              features: Features) -> list[Couple]:
    """Couples in the order of by_design, given those voted on and those drawn; then those without features."""
    def known(of: Iterable[Couple]) -> list[Couple]:
        return [(x, y) for x, y in of if x in features and y in features]

    def figures(of: Sequence[Couple]) -> tuple[Floats, Floats]:
        gaps = [features[x] - features[y] for x, y in of]
        return np.array(gaps).reshape(len(of), size), np.array([standings.lead(x, y).strength for x, y in of])

    size = len(next(iter(features.values()), ()))
    usable, asked = known(couples), known([*sorted(standings.met), *chance])
    order = by_design(*figures(usable), *figures(asked), wanted, ridge)
    first = [usable[index] for index in order]
    taken = set(first)
    return [*first, *(couple for couple in couples if couple not in taken)]


def pairs_of_prompt(members: Sequence[Row], config: PairingConfig, standings: Standings) -> list[Couple]:
    """The couples of one prompt in the strategy's order; two candidates with the same bytes are no question."""
    row = {member["candidate_id"]: member for member in members}
    if config.strategy == "swiss":
        couples = swiss(list(row), standings, config.seed)
    else:
        couples = (round_robin if config.strategy == "round_robin" else random_order)(list(row), config.seed)
    return [(x, y) for x, y in couples if _differ(row[x], row[y], config)]


def choose(rows: Sequence[Row], config: PairingConfig, standings: Standings,
           features: Features | None = None) -> list[tuple[str, Couple]]:
    """(prompt, couple) of all pairs; `pairs_per_prompt` is a mean under `uncertainty`, else a limit for each prompt."""
    groups = {name: pairs_of_prompt(members, config, standings) for name, members in sorted(_grouped(rows).items())}
    limit = config.pairs_per_prompt
    if config.strategy != "uncertainty":
        return [(name, couple) for name, couples in groups.items() for couple in couples[: limit or None]]
    prompt = {couple: name for name, couples in groups.items() for couple in couples}
    wanted = limit * len(groups) if limit else len(prompt)
    return [(prompt[couple], couple) for couple in uncertain(list(prompt), standings, wanted, config, features)]


def _standings(config: PairingConfig, warehouse: Warehouse) -> Standings:
    if config.strategy in ("random", "round_robin", "cross_prompt"):
        return Standings({}, frozenset())
    if config.reward_model:
        return from_rewards(warehouse, config.task, config.dimension, config.reward_model)
    return from_votes(warehouse, config.task, config.dimension)


def _features(config: PairingConfig, warehouse: Warehouse, shown: Sequence[Row]) -> Features:
    """Whitened embeddings of the candidates; ConfigError where none has any."""
    if config.criterion != "design" or config.strategy != "uncertainty":
        return {}
    names = [row["candidate_id"] for row in shown]
    found = whitened({row["candidate_id"]: row["vector"] for row in warehouse.rows(_VECTORS, [config.features, names])})
    if not found:
        raise ConfigError(f"no candidate has features {config.features!r}", where="features",
                          hint="the stage rm.candidate_features:run makes them and says their id")
    return found


def _differ(x: Row, y: Row, config: PairingConfig) -> bool:
    same_maker = x["generator_id"] == y["generator_id"]
    return x["media_id"] != y["media_id"] and not (config.across_generators and same_maker)


def _grouped(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["prompt_id"], []).append(row)
    return groups


def run(config: PairingConfig, warehouse: Warehouse) -> Receipt:
    """Write the pairs. Raises ConfigError where no candidate fits; candidates without media are counted."""
    if config.task not in TASKS:
        raise ConfigError(f"unknown task {config.task!r}", hint=f"one of {', '.join(TASKS)}")
    given = (config.generator_id, config.source, config.candidate_source)
    filters = [config.task, *(value for value in given for _ in range(2))]
    rows = warehouse.rows(_CANDIDATES, filters)
    shown = [row for row in rows if row["media_id"] is not None]
    if not rows:
        raise ConfigError(
            f"no {config.task} candidates of generator {config.generator_id or 'any'!r} and prompt source "
            f"{config.source or 'any'!r}",
            hint="generate or ingest candidates first",
        )
    standings, features = _standings(config, warehouse), _features(config, warehouse, shown)
    verdicts = item_shares(warehouse, config.task, config.dimension) if config.strategy == "cross_prompt" else {}
    if config.strategy == "cross_prompt" and not verdicts:
        raise ConfigError(f"nobody passed or failed a {config.task} item by {config.dimension}",
                          hint="rewarddance annotate items asks people; --set dimension=NAME names another question")

    def body(recorder: Recorder) -> None:
        if config.strategy == "cross_prompt":
            made = cross_pairs(shown, verdicts, max(config.pairs_per_prompt, 1), config.tie_share, config.seed)
        else:
            couples = choose(shown, config, standings, features)
            made = [pair_row(name, x, y, config.task, config.strategy, "pairing") for name, (x, y) in couples]
        recorder.count("read", len(rows))
        recorder.count("media_absent", len(rows) - len(shown))
        recorder.count("pairs", warehouse.merge("pairs", made, run_id=recorder.run_id))
        recorder.output("pairs", len(made))
        recorder.output("pair_digest", content_id("pairs", *sorted(row["pair_id"] for row in made)))

    listed = canonical_json([[row["candidate_id"], row["prompt_id"], row["media_id"]] for row in rows])
    inputs = {"candidates": content_id("candidates", listed)}
    if standings.of or standings.met or standings.between:
        inputs["standings"] = standings.digest()
    if features:
        inputs["features"] = content_id("features", config.features, *sorted(features))
    if verdicts:
        inputs["items"] = content_id("items", canonical_json(sorted([name, *n] for name, n in verdicts.items())))
    return run_stage("pairing", config, warehouse, inputs, body)
