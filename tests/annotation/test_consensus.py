from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from annotation import consensus
from annotation.consensus import ConsensusConfig
from tests.annotation.world import crowd, store_votes, turned, vote
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.records import Row

SKILLS = [0.95, 0.95, 0.9, 0.9, 0.9, 0.9, 0.85, 0.85, 0.5]


def _config(**more: Any) -> ConsensusConfig:
    return ConsensusConfig(**{"vote_sources": ("imported",), "method": "majority"} | more)


def _preferences(warehouse: Warehouse, consensus_id: str) -> dict[str, Row]:
    rows = warehouse.rows("SELECT * FROM preferences WHERE consensus_id = ?", [consensus_id])
    return {row["pair_id"]: row for row in rows}


def test_votes_become_preferences_once(warehouse: Warehouse) -> None:
    rows = crowd(np.random.default_rng(0), 300, SKILLS)
    store_votes(warehouse, rows)
    first = consensus.run(_config(), warehouse)
    assert first.changed and not consensus.run(_config(), warehouse).changed
    out = first.outputs
    assert out["excluded"] == ["r08"] and not out["raters_suspect"] and out["split_pairs"] == 0
    low, high = out["alpha_ci"]["overall"]
    assert low < out["alpha"]["overall"] < high
    found = _preferences(warehouse, out["consensus_id"])
    assert len(found) == out["n_pairs"] == first.counts["preferences"]
    assert sum(row["n_votes"] for row in found.values()) == out["n_votes"] == sum(
        row["annotator_id"] != "r08" for row in rows)
    for row in found.values():
        assert row["n_votes"] == row["n_a"] + row["n_b"] + row["n_tie"] + row["n_both_bad"]
        share = (row["n_a"] + (row["n_tie"] + row["n_both_bad"]) / 2) / row["n_votes"]
        assert row["p_a"] == pytest.approx(share, abs=1e-6)
    event = warehouse.rows("SELECT * FROM annotator_events")
    assert [(item["annotator_id"], item["kind"]) for item in event] == [("r08", "paused")]
    stored = warehouse.rows("SELECT * FROM consensus_runs")[0]
    assert json.loads(stored["raters_json"])["r08"]["excluded"] is True
    assert json.loads(stored["agreement_json"])["overall"]["camps"] == 1


def test_rules_decide_who_stays(warehouse: Warehouse) -> None:
    store_votes(warehouse, crowd(np.random.default_rng(0), 300, SKILLS))
    kept = consensus.run(_config(quality={"exclude": ()}), warehouse)
    assert kept.outputs["excluded"] == [] and kept.outputs["n_votes"] == 900
    assert warehouse.rows("SELECT count(*) AS n FROM annotator_events")[0]["n"] == 0


@pytest.mark.parametrize("method", ["dawid_skene", "bradley_terry"])
def test_raters_have_a_reliability(warehouse: Warehouse, method: str) -> None:
    store_votes(warehouse, crowd(np.random.default_rng(0), 300, SKILLS))
    receipt = consensus.run(_config(method=method, quality={"exclude": ()}), warehouse)
    raters = json.loads(warehouse.rows("SELECT raters_json FROM consensus_runs")[0]["raters_json"])
    reliability = {name: rater["reliability"]["overall"] for name, rater in raters.items()}
    last, second, *_ = sorted(reliability, key=lambda name: reliability[name])
    assert last == "r08" and reliability[last] < reliability[second] - 0.1
    assert receipt.outputs["n_pairs"] == 300


def _run_on(folder: Any, rows: Sequence[Row]) -> tuple[dict[str, Any], dict[str, Row]]:
    from warehouse import open_warehouse

    with open_warehouse(str(folder)) as warehouse:
        store_votes(warehouse, rows)
        receipt = consensus.run(_config(method="bradley_terry"), warehouse)
        return receipt.outputs, _preferences(warehouse, receipt.outputs["consensus_id"])


def test_the_order_of_votes_changes_no_row(tmp_path: Any) -> None:
    rows = crowd(np.random.default_rng(1), 60, SKILLS)
    shuffled = [rows[index] for index in np.random.default_rng(2).permutation(len(rows))]
    assert _run_on(tmp_path / "one", rows) == _run_on(tmp_path / "two", shuffled)


def test_deleted_votes_do_not_count_and_change_the_consensus(warehouse: Warehouse) -> None:
    rows = [vote("p1", f"r{k}", "a" if k else "b") for k in range(3)] + [vote("p2", "r0", "a"), vote("p2", "r1", "b")]
    pairs = store_votes(warehouse, rows)
    before = consensus.run(_config(), warehouse)
    warehouse.merge("votes", [{"vote_id": "p1-r0", "deleted": True, "pair_id": pairs["p1"]["pair_id"],
                               "annotator_id": "r0", "dimension": "overall", "label": "b", "source": "imported"}])
    after = consensus.run(_config(), warehouse)
    assert after.outputs["consensus_id"] != before.outputs["consensus_id"] and after.outputs["n_votes"] == 4
    found = _preferences(warehouse, after.outputs["consensus_id"])[pairs["p1"]["pair_id"]]
    assert found["n_votes"] == 2 and found["p_a"] in (0.0, 1.0)


def test_single_votes_have_no_alpha(warehouse: Warehouse) -> None:
    """An import with one vote a pair: no agreement to speak of, and that is null, not zero."""
    store_votes(warehouse, [vote(f"p{index}", "source:paper", "a") for index in range(5)])
    out = consensus.run(_config(method="bradley_terry"), warehouse).outputs
    assert out["alpha"] == {"overall": None} and out["alpha_ci"] == {"overall": None}
    assert out["n_pairs"] == 5 and out["excluded"] == []


def test_two_camps_flag_the_pairs_that_divide_them(warehouse: Warehouse) -> None:
    rng, rows = np.random.default_rng(3), []
    for index in range(500):
        for k in rng.choice(18, 4, replace=False):
            other = index % 2 == 0 and k < 6
            rows.append(vote(f"p{index:03d}", f"r{k:02d}", "b" if other == (rng.random() < 0.9) else "a"))
    pairs = store_votes(warehouse, rows)
    receipt = consensus.run(_config(method="bradley_terry"), warehouse)
    assert receipt.outputs["excluded"] == []
    found = _preferences(warehouse, receipt.outputs["consensus_id"])
    flagged = {name for name, pair in pairs.items() if found[pair["pair_id"]]["split_population"]}
    assert receipt.outputs["split_pairs"] == len(flagged) > 130
    assert sum(int(name[1:]) % 2 == 0 for name in flagged) > 0.75 * len(flagged)


def test_no_votes_is_said(warehouse: Warehouse) -> None:
    with pytest.raises(ConfigError, match="no votes"):
        consensus.run(_config(), warehouse)


def test_turned_rows_are_the_same_pairs() -> None:
    rows = crowd(np.random.default_rng(4), 5, SKILLS)
    assert turned(turned(rows)) == rows
