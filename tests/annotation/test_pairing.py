from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation import pairing
from tests.annotation.world import candidates
from warehouse import Warehouse
from warehouse.errors import ConfigError

names = st.lists(st.text("abcdef0123", min_size=4, max_size=4), min_size=2, max_size=9, unique=True)


@given(names, st.integers(0, 5), st.randoms())
def test_both_orders_hold_every_couple_once_whatever_the_order_of_candidates(ids, seed, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = ids[:]
    random.shuffle(shuffled)
    for order in (pairing.random_order, pairing.round_robin):
        couples = order(ids, seed)
        assert sorted(couples) == sorted(combinations(sorted(ids), 2))
        assert order(shuffled, seed) == couples


@given(names, st.integers(0, 5))
def test_round_robin_meets_everybody_equally_often(ids, seed) -> None:  # type: ignore[no-untyped-def]
    couples = pairing.round_robin(ids, seed)
    for rounds in range(1, len(ids)):
        met = Counter(name for couple in couples[: rounds * (len(ids) // 2)] for name in couple)
        assert max(met.values()) - min(met[name] for name in ids) <= 1


@pytest.mark.parametrize("strategy", ["random", "round_robin"])
def test_the_stage_is_idempotent_and_takes_what_is_asked(warehouse: Warehouse, strategy: str) -> None:
    generator = candidates(warehouse, prompts=5, each=4)
    config = pairing.PairingConfig(generator_id=generator, strategy=strategy, pairs_per_prompt=2)
    first = pairing.run(config, warehouse)
    assert first.outputs["pairs"] == first.counts["pairs"] == 10
    assert not pairing.run(config, warehouse).changed
    every = pairing.run(config.model_copy(update={"pairs_per_prompt": 0}), warehouse)
    assert every.outputs["pairs"] == 30 and every.counts["pairs"] == 20
    other = pairing.run(config.model_copy(update={"seed": 1}), warehouse)
    assert other.counts["pairs"] == 0 and other.outputs["pair_digest"] != first.outputs["pair_digest"]


def test_absent_and_identical_media_are_no_question(warehouse: Warehouse) -> None:
    candidates(warehouse, prompts=1, each=4, media={0: None, 2: "media0001"})
    receipt = pairing.run(pairing.PairingConfig(pairs_per_prompt=0), warehouse)
    assert receipt.counts["media_absent"] == 1 and receipt.outputs["pairs"] == 2


def test_prompts_of_another_source_are_left_alone(warehouse: Warehouse) -> None:
    candidates(warehouse, prompts=2, each=2)
    assert pairing.run(pairing.PairingConfig(source="list"), warehouse).outputs["pairs"] == 2
    with pytest.raises(ConfigError, match="held_out"):
        pairing.run(pairing.PairingConfig(source="held_out"), warehouse)
    with pytest.raises(ConfigError, match="t2x"):
        pairing.run(pairing.PairingConfig(task="t2x"), warehouse)
