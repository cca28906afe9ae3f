"""Doubt about pairs: heads on cached features, a model's own P(yes), and the pairs that are chosen by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annotation import pairing
from annotation.rationales import Clip, ShownPair
from annotation.standings import from_rewards
from rm import candidate_features, ensemble, pair_rewards
from rm.candidate_features import FeatureConfig
from rm.ensemble import EnsembleConfig, fit_heads, judged
from rm.pair_rewards import PairRewardConfig
from rm.rationale_writer import LocalWriter
from tests.rm.world import TEMPLATE, checkpoint, dataset, picture
from warehouse import Warehouse
from warehouse.errors import ConfigError


def _votes(pairs: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    gap, truth = rng.normal(size=(pairs, 4)), np.array([2.0, -1.0, 0.0, 0.5])
    return gap, (rng.random(pairs) < 1 / (1 + np.exp(-gap @ truth))).astype(float), truth


def test_heads_find_what_votes_weigh_and_doubt_less_with_more() -> None:
    gap, p_a, truth = _votes(4000)
    many, few = (fit_heads(gap[:n], p_a[:n], np.ones(n), 8, 1.0) for n in (4000, 100))
    assert many[0] == pytest.approx(truth, abs=0.15)
    assert judged(many, gap)[1].mean() < judged(few, gap)[1].mean() / 3
    assert np.array_equal(fit_heads(gap[:0], p_a[:0], p_a[:0], 2, 1.0), np.zeros((2, 4)))


def test_exchanging_a_and_b_turns_the_margin_round() -> None:
    gap, p_a, _ = _votes(200, 1)
    one, other = fit_heads(gap, p_a, np.ones(200), 3, 1.0), fit_heads(-gap, 1 - p_a, np.ones(200), 3, 1.0)
    assert other == pytest.approx(one, abs=1e-9)
    assert judged(other, -gap)[0] == pytest.approx(1 - judged(one, gap)[0], abs=1e-9)


def test_a_vote_counts_as_often_as_it_was_given() -> None:
    gap, p_a, _ = _votes(60, 2)
    twice = fit_heads(np.repeat(gap, 2, axis=0), np.repeat(p_a, 2), np.ones(120), 2, 1.0)[0]
    assert fit_heads(gap, p_a, np.full(60, 2.0), 2, 1.0)[0] == pytest.approx(twice, abs=1e-6)


def test_from_pictures_to_the_pairs_that_are_asked_about(warehouse: Warehouse, tmp_path: Path) -> None:
    dataset(warehouse, images=12, clips=0)
    folder = str(checkpoint(tmp_path / "model"))
    features = candidate_features.run(FeatureConfig(model_id=folder), warehouse)
    assert features.counts["embeddings"] == 24
    key = features.outputs["feature_id"]
    vectors = warehouse.rows("SELECT vector FROM embeddings WHERE model_id = ?", [key])
    assert len({len(row["vector"]) for row in vectors}) == 1
    assert all(np.isfinite(row["vector"]).all() for row in vectors)
    with pytest.raises(ConfigError, match="features"):
        ensemble.run(EnsembleConfig(feature_id="other", consensus_id="c1"), warehouse)
    config = EnsembleConfig(feature_id=key, consensus_id="c1", heads=3)
    learned = ensemble.run(config, warehouse)
    assert not ensemble.run(config, warehouse).changed and learned.counts["rewards"] >= 12
    table = from_rewards(warehouse, "t2i", "overall", learned.outputs["reward_model"])
    assert table.between and all(at.variance > 0 for at in table.between.values())
    chosen = pairing.run(pairing.PairingConfig(strategy="uncertainty", pairs_per_prompt=1,
                                               reward_model=learned.outputs["reward_model"]), warehouse)
    assert chosen.outputs["pairs"] >= 1


def test_both_orders_of_a_couple_are_one_reward(warehouse: Warehouse, tmp_path: Path) -> None:
    dataset(warehouse, images=4, clips=0)
    from rm.model_folder import CARD_FILE, ModelCard

    folder = checkpoint(tmp_path / "model")
    card = ModelCard(model_id="asked", instructions={"t2i": {"overall": TEMPLATE}})
    (folder / CARD_FILE).write_text(card.model_dump_json())
    found = pair_rewards.run(PairRewardConfig(reward_model=str(folder)), warehouse)
    rows = warehouse.rows("SELECT * FROM rewards WHERE model_id = 'asked'")
    assert found.counts["rewards"] == len(rows) == 4
    assert all(0 < row["value"] < 1 and row["uncertainty"] >= 0 for row in rows)


def test_a_local_model_writes_and_tells_back(tmp_path: Path) -> None:
    writer = LocalWriter(str(checkpoint(tmp_path / "model")), max_tokens=4)
    rng = np.random.default_rng(0)
    pair = ShownPair("a red circle", "{odd} words", Clip(picture(rng, 60), (0.0,)), Clip(picture(rng, 200), (0.0,)))
    text = writer.write(pair, "second")
    assert writer.write(pair, "second") == text and len(text.split()) <= 4
    assert writer.predict(pair, "warmer {x}") in ("first", "second") and writer.revision and writer.author_id
    with pytest.raises(ConfigError, match="no model"):
        LocalWriter(str(tmp_path / "absent"))
