"""summary.json: the run in numbers, with every key always there (null where a run has no such stage).

Counts are read from the warehouse; everything else is what a stage's receipt says, placed by the `summary` mapping
of its entry in the run config. No number is computed here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.config import RunConfig, Show, resolve
from pipelines.plan import Plan
from warehouse import Warehouse, open_warehouse
from warehouse.records import ADVERSARIAL

_ALIGNED = ("gold_before", "gold_after", "gain", "gain_ci_low", "gain_ci_high", "strict_before", "strict_after",
            "gold_sd", "proxy_before", "proxy_after", "spread_first", "spread_last", "n_prompts")
_INTERVALS = ("accuracy_id", "accuracy_ood", "accuracy_pretrained", "gain_over_pretrained")


def skeleton() -> dict[str, Any]:
    """All keys of the document, empty."""
    interval = {"value": None, "n": None, "ci_low": None, "ci_high": None}
    placebo = {"accuracy_taste": None, "gold_gain": None}
    return {
        "name": "", "title": "", "taste": "", "seconds": {}, "counts": {}, "agreement": {"alpha": {}},
        "dataset": {"name": None, "version": None, "hash": None, "samples": {}},
        "rm": {**{key: dict(interval) for key in _INTERVALS}, "accuracy_taste": None, "flip_rate": None,
               "ece": None},
        "placebo": {"shuffled_votes": dict(placebo), "no_votes": dict(placebo)},
        "alignment": {kind: dict.fromkeys(_ALIGNED) for kind in ("image", "video")},
        "search": {"1": None, "4": None, "16": None}, "report": None, "shown": Show().model_dump(mode="json"),
    }


def place(document: dict[str, Any], dotted: str, value: Any) -> None:
    """Sets `document["a"]["b"]` for the key `a.b`, making mappings on the way."""
    *parents, last = dotted.split(".")
    for key in parents:
        document = document.setdefault(key, {})
    document[last] = value


def counts(warehouse: Warehouse) -> dict[str, Any]:
    """What the warehouse holds; adversarial rows, which nobody votes on, are not counted."""
    tables = {name: warehouse.rows(f"SELECT count(*) AS n FROM {name} WHERE source IS DISTINCT FROM ?",
                                   [ADVERSARIAL])[0]["n"] for name in ("prompts", "pairs")}
    tables |= warehouse.rows("SELECT count(*) AS rejects FROM rejects")[0]
    kinds = {row["kind"]: row["n"] for row in warehouse.rows(
        "SELECT m.kind, count(*) AS n FROM candidates c JOIN media m USING (media_id) "
        "WHERE c.source IS DISTINCT FROM ? GROUP BY 1", [ADVERSARIAL])}
    votes = warehouse.rows("SELECT count(*) AS n FROM votes WHERE NOT coalesce(deleted, false)")[0]["n"]
    candidates = {"images": kinds.get("image", 0), "clips": kinds.get("video", 0)}
    return {"prompts": tables["prompts"], "candidates": candidates, "pairs": tables["pairs"], "votes": votes,
            "rejects": tables["rejects"]}


def is_simulated(config: RunConfig) -> bool:
    """True where any stage of the run is, or names a plug-in of, the simulated world."""
    return any("simulation." in entry.stage or "simulation." in str(entry.options) for entry in config.stages)


def _output(receipt: Mapping[str, Any], dotted: str) -> Any:
    """An output of a receipt, or one key of it (`accuracy.value`), or a count; None where there is none."""
    value: Any = {**receipt["counts"], **receipt["outputs"]}
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def summarise(plan: Plan) -> dict[str, Any]:
    """The document of a finished run."""
    document = skeleton()
    document["name"], document["title"] = plan.config.name, plan.config.title
    document["taste"] = plan.config.taste
    for entry in plan.config.stages:
        receipt = plan.receipts[entry.name]
        document["seconds"][entry.name] = round(receipt["seconds"], 2)
        for dotted, output in entry.summary.items():
            place(document, dotted, _output(receipt, output))
    with open_warehouse(plan.warehouse_url) as warehouse:
        document["counts"] = counts(warehouse)
    document["warehouse"] = plan.warehouse_url
    document["simulated"] = is_simulated(plan.config)
    document["shown"] = resolve(plan.config.show.model_dump(mode="json"), plan.context())
    return document


def read_summary(path: Path) -> dict[str, Any]:
    """A summary.json as written."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
