"""Where things came from: the lineage of one reward as nested steps with pictures, and the receipts of all stages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.report.inline import Picture, stored
from warehouse import Warehouse
from warehouse.lineage import Node, sources

_WIDTH = 2


@dataclass(frozen=True)
class Step:
    """One record of a lineage: what it is in words, its id, its picture where it has one, and what it came from."""

    kind: str
    text: str
    id: str
    picture: Picture | None = None
    children: list[Step] = field(default_factory=list)
    more: int = 0


def _number(value: Any) -> str:
    return "?" if value is None else f"{float(value):.3f}"


def _words(kind: str, facts: Mapping[str, Any]) -> str:
    """One record in words."""
    texts = {
        "reward": lambda: f"{_number(facts['value'])} for {facts['dimension'] or 'overall'}",
        "model": lambda: f"{facts['kind']} {facts['name']}".replace("_", " "),
        "sample": lambda: f"{facts['name']}@{facts['version']}, split {facts['split']}, {facts['dimension']}",
        "preference": lambda: f"p(a beats b) = {_number(facts['p_a'])} from {facts['n_votes']} votes",
        "vote": lambda: f"{facts['label']} for {facts['dimension']}",
        "annotator": lambda: str(facts["pseudonym"]),
        "pair": lambda: f"chosen by {facts['strategy']}",
        "candidate": lambda: f"seed {facts['seed']}",
        "prompt": lambda: str(facts["text"]),
        "generator": lambda: str(facts["name"]),
    }
    return texts[kind]().replace("_", " ") if kind in texts else ""


def _step(warehouse: Warehouse, node: Node, seen: set[str]) -> Step:
    """A candidate carries its own picture; what has been shown before is named, not drawn out again."""
    known, text = node.id in seen, _words(node.kind, node.facts)
    seen.add(node.id)
    if known:
        return Step(node.kind, f"{text} (as above)", node.id)
    media = [child.id for child in node.children if child.kind == "media"]
    picture = stored(warehouse, media[0], 64) if media else None
    children = [_step(warehouse, child, seen) for child in node.children if child.kind != "media"]
    return Step(node.kind, text, node.id, picture, children, node.more)


def lineage(warehouse: Warehouse, reward_model: str) -> Step | None:
    """The sources of one reward of `reward_model` (of any model where empty); None without rewards."""
    rows = warehouse.rows("SELECT reward_id FROM rewards WHERE ? = '' OR model_id = ? ORDER BY reward_id LIMIT 1",
                          [reward_model, reward_model])
    if not rows:
        return None
    return _step(warehouse, sources(warehouse, rows[0]["reward_id"], limit=_WIDTH), set())


def receipts(warehouse: Warehouse) -> list[dict[str, Any]]:
    """All runs: stage, seconds, counts and rejects."""
    rows = warehouse.rows("SELECT stage, run_id, seconds, counts_json, rejected_json FROM runs "
                          "ORDER BY finished_at, stage")
    return [{"stage": row["stage"], "run_id": row["run_id"], "seconds": row["seconds"] or 0.0,
             "counts": json.loads(row["counts_json"] or "{}"), "rejected": json.loads(row["rejected_json"] or "{}")}
            for row in rows]
