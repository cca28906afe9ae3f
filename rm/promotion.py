"""Which reward model a role uses: promotion through the gate, rollback, and the list of models.

A role ("reward" unless said otherwise) is a stack of models: promotion puts one on top, rollback takes it off again.
Each act is a row of `promotions` that is never changed; the stack is read from them. A model that failed the gate, or
never went through it, is refused.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from warehouse import Warehouse
from warehouse.errors import ConflictError, NotFoundError
from warehouse.hashing import content_id
from warehouse.records import Row

REWARD = "reward"


def stack(warehouse: Warehouse, role: str = REWARD) -> list[str]:
    """Models of a role, the one in use last."""
    found: list[str] = []
    for row in _acts(warehouse, role):
        if row["action"] == "promote":
            found.append(row["model_id"])
        else:
            found.pop()
    return found


def in_use(warehouse: Warehouse, role: str = REWARD) -> str:
    """The promoted model; raises NotFoundError where there is none."""
    found = stack(warehouse, role)
    if not found:
        raise NotFoundError(f"no model is promoted to {role!r}", hint="see: rewarddance rm list, rm promote")
    return found[-1]


def gate_verdict(warehouse: Warehouse, model_id: str) -> bool | None:
    """Whether every measurement of its last finished gate passed; None where there is none."""
    rows = last_gate(warehouse, model_id)
    return all(row["passed"] for row in rows) if rows else None


def last_gate(warehouse: Warehouse, model_id: str) -> list[Row]:
    """Measurements of the last finished gate: name, value, n, interval, passed; none where there was no gate."""
    return warehouse.rows(
        "SELECT a.attack || ':' || a.key AS name, a.* FROM attack_results a WHERE a.model_id = ? AND a.run_id = ("
        "SELECT r.run_id FROM runs r JOIN attack_results b ON b.run_id = r.run_id WHERE b.model_id = ? "
        "ORDER BY r.finished_at DESC LIMIT 1) ORDER BY name", [model_id, model_id])


def promote(warehouse: Warehouse, model_id: str, reason: str = "", role: str = REWARD) -> Row:
    """Put a model on top of a role; raises NotFoundError, or ConflictError where the gate does not let it pass."""
    if not warehouse.rows("SELECT 1 FROM models WHERE model_id = ? AND kind = 'reward_model'", [model_id]):
        raise NotFoundError(f"no reward model {model_id!r}", hint="see: rewarddance rm list")
    measured = last_gate(warehouse, model_id)
    failed = [row["name"] for row in measured if not row["passed"]]
    if failed or not measured:
        what = f"failed the gate: {', '.join(failed)}" if failed else "has not been through the gate"
        raise ConflictError(f"{model_id} {what}", hint="run: rewarddance rm gate; train with adversarial negatives "
                                                       "where it fails")
    if stack(warehouse, role)[-1:] == [model_id]:
        raise ConflictError(f"{model_id} is in use as {role!r} already")
    return _act(warehouse, model_id, "promote", reason, role)


def rollback(warehouse: Warehouse, reason: str = "", role: str = REWARD) -> Row:
    """Take the model in use off its role; raises NotFoundError where there is none."""
    return _act(warehouse, in_use(warehouse, role), "rollback", reason, role)


def models(warehouse: Warehouse) -> list[Row]:
    """Every reward model, oldest first: what it learned from, how well, whether it passed, roles that use it."""
    rows = warehouse.rows(
        "SELECT m.* FROM models m LEFT JOIN runs r ON r.run_id = m.run_id WHERE m.kind = 'reward_model' "
        "ORDER BY r.finished_at, m.model_id")
    roles = {row["role"] for row in warehouse.rows("SELECT DISTINCT role FROM promotions")}
    used = {role: stack(warehouse, role)[-1:] for role in sorted(roles)}
    return [_listed(warehouse, row, [role for role, top in used.items() if top == [row["model_id"]]]) for row in rows]


def _listed(warehouse: Warehouse, row: Row, roles: list[str]) -> dict[str, Any]:
    metrics = json.loads(row["metrics_json"] or "{}")
    return {"model_id": row["model_id"], "name": row["name"], "roles": roles,
            "gate": {True: "passed", False: "failed", None: "not run"}[gate_verdict(warehouse, row["model_id"])],
            "validation_accuracy": metrics.get("validation_accuracy"),
            "dataset": f"{row['dataset_name']}@{row['dataset_version']}", "parent_id": row["parent_id"],
            "code_version": row["code_version"]}


def _acts(warehouse: Warehouse, role: str) -> list[Row]:
    return warehouse.rows("SELECT * FROM promotions WHERE role = ? ORDER BY happened_at, promotion_id", [role])


def _act(warehouse: Warehouse, model_id: str, action: str, reason: str, role: str) -> Row:
    row = {"promotion_id": content_id("promotion", role, len(_acts(warehouse, role))), "model_id": model_id,
           "role": role, "action": action, "reason": reason, "happened_at": datetime.now(UTC).replace(tzinfo=None)}
    with warehouse.commit(f"{action} {model_id}"):
        warehouse.merge("promotions", [row])
    return row
