"""Pairs chosen by how candidates stand: Swiss rounds find the order, doubt finds the close ones."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from annotation import pairing
from annotation.pairing import PairingConfig, swiss, uncertain
from annotation.standings import Standing, Standings, from_rewards, from_votes
from tests.annotation.world import START, candidates
from warehouse import Warehouse

NAMES = [f"c{index}" for index in range(8)]


def _standings(met: tuple[tuple[str, str], ...] = ()) -> Standings:
    return Standings({name: Standing(float(index), 0.1) for index, name in enumerate(NAMES)}, frozenset(met))


def test_a_swiss_round_pairs_neighbours_that_have_not_met() -> None:
    assert swiss(NAMES, _standings(), 0) == [("c6", "c7"), ("c4", "c5"), ("c2", "c3"), ("c0", "c1")]
    again = swiss(NAMES, _standings((("c6", "c7"), ("c4", "c5"))), 0)
    assert again == [("c5", "c7"), ("c4", "c6"), ("c2", "c3"), ("c0", "c1")]
    assert len(swiss(NAMES[:5], _standings(), 0)) == 2
    assert sorted(swiss(NAMES, Standings({}, frozenset()), 1)) != sorted(swiss(NAMES, Standings({}, frozenset()), 2))


def test_swiss_rounds_order_candidates_with_half_of_all_pairs() -> None:
    """Eight candidates, the larger number always wins: half of all pairs find the best and the worst."""
    wins, met = dict.fromkeys(NAMES, 0.0), set()
    for _ in range(4):
        table = Standings({name: Standing(value, 0.1) for name, value in wins.items()}, frozenset(met))
        for x, y in swiss(NAMES, table, 0):
            met.add((x, y))
            wins[max(x, y)] += 1
    assert len(met) >= 15 and wins["c7"] == 4 and wins["c0"] == 0
    assert sum(wins[name] for name in NAMES[4:]) > 2 * sum(wins[name] for name in NAMES[:4])


def test_the_doubtful_come_first_after_a_random_share() -> None:
    couples = [(x, y) for x in NAMES for y in NAMES if x < y]
    config = PairingConfig(strategy="uncertainty", random_share=0.25)
    chosen = uncertain(couples, _standings((("c0", "c1"),)), 8, config)
    gaps = [int(y[1]) - int(x[1]) for x, y in chosen]
    assert len(set(chosen)) == 8 and ("c0", "c1") not in chosen and gaps[2:] == [1] * 6
    everything = uncertain(couples, _standings(), 99, config)
    assert sorted(everything) == sorted(couples)
    assert uncertain(couples[::-1], _standings(), 8, config) == uncertain(couples, _standings(), 8, config)


def test_doubt_is_entropy_and_grows_with_variance() -> None:
    table = Standings({"x": Standing(2.0, 0.0), "y": Standing(0.0, 0.0), "z": Standing(0.0, 9.0)}, frozenset())
    # Entropy of sigmoid(2) = 0.8808 in bits, by scipy.stats.entropy (1.17).
    assert table.doubt("x", "y") == pytest.approx(0.5270, abs=1e-3)
    assert table.doubt("y", "y") == pytest.approx(1.0) and table.doubt("x", "y") < table.doubt("x", "z") < 1.0
    assert table.doubt("x", "y") == pytest.approx(table.doubt("y", "x"))


def test_a_vote_tells_nothing_where_the_lead_is_known() -> None:
    """Equals that are known to be equals are in full doubt; the same entropies by scipy.integrate.quad (1.17)."""
    names = {"x": Standing(0.0, 0.0), "y": Standing(0.0, 0.0), "z": Standing(0.0, 4.0), "w": Standing(3.0, 4.0)}
    table = Standings(names, frozenset(), {("x", "y"): Standing(0.0, 1.0)})
    known = Standings(names, frozenset())
    assert known.doubt("x", "y") == pytest.approx(1.0) and known.information("x", "y") == pytest.approx(0.0, abs=1e-9)
    assert table.information("x", "y") == pytest.approx(_bits(0.0, 1.0), abs=1e-4)
    assert known.information("x", "z") == pytest.approx(_bits(0.0, 4.0), abs=1e-3)
    assert known.information("x", "z") > known.information("x", "w") > 0


def _bits(mean: float, variance: float) -> float:
    def chance(lead: float) -> float:
        return float(1 / (1 + np.exp(-lead)))

    def bits(p: float) -> float:
        return float(-p * np.log2(p) - (1 - p) * np.log2(1 - p))

    law, reach = norm(mean, variance**0.5), 10 * variance**0.5
    p = quad(lambda x: law.pdf(x) * chance(x), mean - reach, mean + reach)[0]
    return bits(p) - float(quad(lambda x: law.pdf(x) * bits(chance(x)), mean - reach, mean + reach)[0])


def _vote(warehouse: Warehouse, pair: dict[str, str], winner: str, number: int) -> None:
    label = "a" if pair["candidate_a"] == winner else "b"
    at = START + timedelta(minutes=number)
    row = {"vote_id": f"v{number}", "pair_id": pair["pair_id"], "dimension": "overall", "label": label,
           "annotator_id": f"r{number % 3}", "created_at": at, "updated_at": at, "deleted": False}
    warehouse.merge("votes", [row])


def test_the_stage_reads_votes_and_adds_a_round(warehouse: Warehouse) -> None:
    generator = candidates(warehouse, prompts=2, each=4)
    config = PairingConfig(generator_id=generator, strategy="swiss", pairs_per_prompt=0)
    assert pairing.run(config, warehouse).counts["pairs"] == 4
    assert not pairing.run(config, warehouse).changed
    for number, pair in enumerate(warehouse.rows("SELECT * FROM pairs ORDER BY pair_id")):
        _vote(warehouse, pair, max(pair["candidate_a"], pair["candidate_b"]), number)
    second = pairing.run(config, warehouse)
    assert second.counts["pairs"] == 4
    table = from_votes(warehouse, "t2i", "overall")
    assert len(table.of) == 8 and len(table.met) == 4
    unmet = pairing.run(config.model_copy(update={"strategy": "uncertainty", "pairs_per_prompt": 9}), warehouse)
    assert unmet.outputs["pairs"] == 8


def test_standings_of_a_reward_model(warehouse: Warehouse) -> None:
    candidates(warehouse, prompts=1, each=3)
    names = [row["candidate_id"] for row in warehouse.rows("SELECT candidate_id FROM candidates ORDER BY 1")]
    rows = [(names[0], 0.9), (names[0], 0.8), (names[1], 0.1), (names[1], 0.9), (names[2], 0.2), (names[2], 0.2)]
    warehouse.merge("rewards", [{"reward_id": f"w{index}", "model_id": "rm", "candidate_id": name, "value": value,
                                 "dimension": "overall"} for index, (name, value) in enumerate(rows)])
    table = from_rewards(warehouse, "t2i", "overall", "rm")
    best, torn, worst = (table.get(name) for name in names)
    assert best.strength > torn.strength > worst.strength and torn.variance > 10 * best.variance
    assert from_rewards(warehouse, "t2i", "overall", "another").of == {}
