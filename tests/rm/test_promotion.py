from __future__ import annotations

from datetime import datetime

import pytest

from rm import promotion
from rm.gate_card import gate_card
from warehouse import Warehouse
from warehouse.errors import ConflictError, NotFoundError


def model(warehouse: Warehouse, model_id: str) -> str:
    warehouse.merge("models", [{"model_id": model_id, "kind": "reward_model", "name": model_id, "dataset_name": "d",
                                "dataset_version": 1, "metrics_json": '{"validation_accuracy": 0.75}'}])
    return model_id


def gated(warehouse: Warehouse, model_id: str, run_id: str, day: int, **passed: bool) -> None:
    warehouse.merge("attack_results", [
        {"attack_id": run_id + key, "model_id": model_id, "attack": "false_yes", "key": key, "passed": ok,
         "value": 0.0 if ok else 0.625, "n": 8, "ci_low": 0.0 if ok else 0.3, "ci_high": 0.8}
        for key, ok in passed.items()], run_id=run_id)
    warehouse.merge("runs", [{"run_id": run_id, "stage": "gate", "finished_at": datetime(2026, 1, day)}])


def test_only_what_passes_the_gate_is_promoted(warehouse: Warehouse) -> None:
    one = model(warehouse, "one")
    with pytest.raises(ConflictError, match="has not been through the gate"):
        promotion.promote(warehouse, one)
    gated(warehouse, one, "first", 1, white=False, black=True)
    with pytest.raises(ConflictError, match="failed the gate: false_yes:white Hint"):
        promotion.promote(warehouse, one)
    with pytest.raises(NotFoundError):
        promotion.in_use(warehouse)
    gated(warehouse, one, "second", 2, white=True, black=True)
    assert promotion.promote(warehouse, one, "passed at last")["action"] == "promote"
    assert promotion.in_use(warehouse) == one
    # A later gate that fails takes nothing away, but forbids the next promotion.
    gated(warehouse, one, "third", 3, white=False)
    assert promotion.gate_verdict(warehouse, one) is False and promotion.in_use(warehouse) == one


def test_rollback_returns_to_the_model_before(warehouse: Warehouse) -> None:
    for day, name in enumerate(("one", "two"), 1):
        gated(warehouse, model(warehouse, name), f"run {name}", day, white=True)
    promotion.promote(warehouse, "one")
    promotion.promote(warehouse, "two")
    with pytest.raises(ConflictError, match="in use"):
        promotion.promote(warehouse, "two")
    listed = {row["model_id"]: row for row in promotion.models(warehouse)}
    assert listed["two"]["roles"] == ["reward"] and listed["one"]["roles"] == []
    assert listed["one"]["gate"] == "passed" and listed["one"]["validation_accuracy"] == 0.75
    assert promotion.rollback(warehouse, "worse")["model_id"] == "two"
    assert promotion.in_use(warehouse) == "one"
    promotion.rollback(warehouse)
    with pytest.raises(NotFoundError, match="no model is promoted"):
        promotion.rollback(warehouse)
    assert len(warehouse.rows("SELECT * FROM promotions")) == 4


def test_unknown_models_and_separate_roles(warehouse: Warehouse) -> None:
    with pytest.raises(NotFoundError, match="no reward model"):
        promotion.promote(warehouse, "nowhere")
    gated(warehouse, model(warehouse, "one"), "run", 1, white=True)
    promotion.promote(warehouse, "one", role="held_out")
    assert promotion.stack(warehouse) == [] and promotion.in_use(warehouse, "held_out") == "one"


def test_a_card_sets_scorers_side_by_side(warehouse: Warehouse) -> None:
    gated(warehouse, model(warehouse, "ours"), "first", 1, white=True, black=True)
    gated(warehouse, "judge@elsewhere", "second", 2, white=False)
    lines = gate_card(warehouse, ["ours", "judge@elsewhere"]).splitlines()
    assert "| **verdict** | passed | failed |" in lines
    assert "| false yes: white | 0 (0.00 - 0.80) | **0.62 (0.30 - 0.80)** |" in lines
    assert "| false yes: black | 0 (0.00 - 0.80) | - |" in lines
    with pytest.raises(NotFoundError, match="nobody"):
        gate_card(warehouse, ["ours", "nobody"])
