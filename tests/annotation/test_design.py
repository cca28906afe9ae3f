"""Sequential designs: directions that were not asked about come first, the same whatever the order of the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annotation import pairing
from annotation.ballots import Floats
from annotation.design import by_design, whitened
from annotation.pairing import PairingConfig
from tests.annotation.world import candidates
from warehouse import Warehouse
from warehouse.errors import ConfigError

NOTHING = (np.zeros((0, 3)), np.zeros(0))


def test_other_directions_before_the_same_again() -> None:
    gap = np.array([[2.0, 0, 0], [1.9, 0, 0], [0, 1.5, 0], [0, 0, 1.0]])
    even = np.zeros(4)
    assert by_design(gap, even, *NOTHING, 3, 0.1) == [0, 2, 3]
    assert by_design(gap, even, gap[:1].repeat(40, axis=0), np.zeros(40), 2, 0.1) == [2, 3]
    # What the model is sure of tells little.
    assert by_design(gap, np.array([9.0, 9.0, 0.0, 0.0]), *NOTHING, 2, 0.1) == [2, 3]


def test_the_order_lowers_the_mean_variance_step_by_step() -> None:
    """Against the plain definition: tr(A^-1 M) after each step, by numpy's inverse."""
    rng = np.random.default_rng(0)
    gap, lead, chosen = rng.normal(size=(30, 4)), rng.normal(size=30), list[int]()
    asked, asked_lead = rng.normal(size=(5, 4)), rng.normal(size=5)

    def told(of: Floats, at: Floats) -> Floats:
        """Fisher information of couples."""
        chance = 1 / (1 + np.exp(-at))
        total: Floats = np.einsum("p,pd,pe->de", chance * (1 - chance), of, of)
        return total

    precision = 2.0 * np.eye(4) + told(asked, asked_lead)
    for _ in range(8):
        traces = [np.trace(np.linalg.inv(precision + told(gap[[row]], lead[[row]])) @ told(gap, lead))
                  if row not in chosen else np.inf for row in range(30)]
        chosen.append(int(np.argmin(traces)))
        precision = precision + told(gap[chosen[-1:]], lead[chosen[-1:]])
    assert by_design(gap, lead, asked, asked_lead, 8, 2.0) == chosen


def test_features_are_whitened_by_what_they_span() -> None:
    rows = {f"c{index}": vector for index, vector in enumerate(np.random.default_rng(1).normal(size=(40, 6)).tolist())}
    found = np.stack(list(whitened(rows).values()))
    assert found.shape == (40, 6) and found.std() == pytest.approx(1.0, abs=0.01) and whitened({}) == {}
    assert np.allclose(np.abs(found), np.abs(np.stack(list(whitened(dict(reversed(rows.items()))).values()))))


def test_pairs_are_chosen_by_features_of_the_warehouse(warehouse: Warehouse, tmp_path: Path) -> None:
    candidates(warehouse, prompts=6, each=3)
    config = PairingConfig(strategy="uncertainty", criterion="design", features="f", pairs_per_prompt=1,
                           random_share=0.2)
    with pytest.raises(ConfigError, match="no candidate has features 'f'"):
        pairing.run(config, warehouse)
    names = [row["candidate_id"] for row in warehouse.rows("SELECT candidate_id FROM candidates ORDER BY ALL")]
    # Two candidates of each prompt look alike, one stands apart.
    latest = warehouse.rows("SELECT max(candidate_id) AS name FROM candidates GROUP BY prompt_id")
    apart = {row["name"] for row in latest}
    rng = np.random.default_rng(0)
    warehouse.merge("embeddings", [{"embedding_id": name, "candidate_id": name, "model_id": "f",
                                    "vector": (rng.normal(size=8) * (5.0 if name in apart else 0.1)).tolist()}
                                   for name in names])
    assert pairing.run(config, warehouse).outputs["pairs"] == 6
    rows = warehouse.rows("SELECT candidate_a, candidate_b FROM pairs")
    assert sum(bool({row["candidate_a"], row["candidate_b"]} & apart) for row in rows) >= 4
    assert not pairing.run(config, warehouse).changed
