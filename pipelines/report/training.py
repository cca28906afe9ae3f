"""Curves and figures of trained models, as their stages logged them: reward model, its gate, alignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipelines.report.plots import Curve, intervals, lines
from rm.promotion import last_gate
from warehouse import Warehouse

_PARTS = {"gold": "gold", "alignment": "text alignment", "quality": "clean picture", "motion": "steady motion",
          "look": "look that the raters like", "strict": "shows exactly what the prompt names"}


@dataclass(frozen=True)
class _Kind:
    """One plot: its title, the unit of its y axis, and the metrics in it by the name that the page gives them."""

    title: str
    unit: str
    names: dict[str, str]


# Proxy and gold share a plot: their parting is what a reader looks for.
_ALIGNMENT = (
    _Kind("Proxy and gold", "score, 0 to 1",
          {"gold/mean": "gold (held out)", "held_out/proxy": "proxy (held out)", "proxy/mean": "proxy (training)"}),
    _Kind("Spread of the reward", "std. of P(yes)", {"proxy/spread": "within a window"}),
    _Kind("Drift from the start", "RMS distance of pixels", {"drift": "samples"}),
    _Kind("Loss", "loss", {"train/loss": "training"}),
)
_REWARD_MODEL = (
    _Kind("Accuracy while it learned", "share of pairs right", {"validation/accuracy": "validation"}),
    _Kind("Loss", "cross-entropy, nats", {"train/loss": "training", "validation/loss": "validation"}),
)


def _plots(warehouse: Warehouse, run_key: str, kinds: tuple[_Kind, ...]) -> list[dict[str, str]]:
    """Plots {title, svg} of what was logged under `run_key` at more than one step."""
    logged: dict[str, list[tuple[float, float]]] = {}
    for row in warehouse.rows("SELECT name, step, value FROM metrics WHERE run_key = ? ORDER BY name, step", [run_key]):
        logged.setdefault(row["name"], []).append((row["step"], row["value"]))
    found = []
    for kind in kinds:
        drawn: dict[str, Curve] = {label: logged[name] for name, label in kind.names.items()
                                   if len(logged.get(name, ())) > 1}
        if drawn:
            found.append({"title": kind.title, "svg": lines(drawn, "training step", kind.unit)})
    return found


def alignment_curves(warehouse: Warehouse, model_id: str) -> list[dict[str, str]]:
    """Proxy against gold, spread, drift and loss of one alignment."""
    return _plots(warehouse, model_id, _ALIGNMENT)


def gold_parts(warehouse: Warehouse, generator_id: str) -> list[tuple[str, float, float]]:
    """(part, before, after) of an aligned generator's gold; what was the same before and after is left out."""
    rows = warehouse.rows("SELECT metric, value FROM evaluations WHERE model_id = ?", [generator_id])
    values = {row["metric"]: row["value"] for row in rows}
    found = [(name, values[f"{part}_before"], values[f"{part}_after"]) for part, name in _PARTS.items()
             if f"{part}_before" in values]
    return [row for row in found if row[1] != row[2]]


def reward_model_curves(warehouse: Warehouse, model_id: str) -> list[dict[str, str]]:
    """Accuracy and loss of one reward model."""
    return _plots(warehouse, model_id, _REWARD_MODEL)


def evaluations(warehouse: Warehouse, model_id: str) -> list[dict[str, Any]]:
    """Everything measured of a model: on what, metric, value, interval; no slices by order, task, source and margin."""
    rows = warehouse.rows("SELECT dataset, slice, metric, value, n, ci_low, ci_high FROM evaluations "
                          "WHERE model_id = ? ORDER BY dataset, metric, slice", [model_id])
    shown = [row for row in rows if not any(name in row["slice"] for name in ("order=", "task=", "source=", "margin="))]
    return [row | {"on": _readable(row["dataset"], row["slice"])} for row in shown]


def _readable(dataset: str, part: str) -> str:
    text = f"{dataset}, {part}".replace("/dimension=", ", ").replace("gold:held_out", "gold, held-out prompts")
    return text.replace("_", " ")


_GOLD_NAMES = {"accuracy_id": "gold, unseen prompts", "accuracy_ood": "gold, unseen kinds of prompts",
               "accuracy_pretrained": "gold, before any vote", "accuracy_taste": "taste of the population"}


def accuracy_plot(measured: list[dict[str, Any]]) -> str:
    """Every accuracy of `measured` with its interval, those against gold first, and chance as a dashed line."""
    against_gold = [(label, row) for name, label in _GOLD_NAMES.items() for row in measured if row["metric"] == name]
    on_votes = [(f"votes, {row['slice']}".replace("/dimension=", ", ").replace("_", " "), row)
                for row in measured if row["metric"] == "accuracy"]
    rows = [(label, row["value"], row["ci_low"], row["ci_high"]) for label, row in against_gold + on_votes
            if row["ci_low"] is not None]
    return intervals(rows, "share of pairs that it orders as they do", 0.5)


def attacks(warehouse: Warehouse, model_id: str) -> list[dict[str, Any]]:
    """The last gate: each attack with its value and whether the model stood it."""
    return last_gate(warehouse, model_id)
