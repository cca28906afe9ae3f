"""Curves and figures of trained models, as their stages logged them: reward model, its gate, alignment."""

from __future__ import annotations

from typing import Any

from pipelines.report.plots import Curve, lines
from warehouse import Warehouse

# Plots in the order shown: title, and what the names of their metrics contain. Proxy and gold share a plot: their
# parting is what a reader looks for.
_PLOTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("proxy (reward model) and gold", ("proxy/mean", "held_out/proxy", "gold")),
    ("spread of the reward", ("spread",)),
    ("accuracy", ("accuracy",)),
    ("loss", ("loss",)),
    ("drift from the start", ("drift", "kl")),
)


def _plot_of(name: str) -> str | None:
    return next((title for title, words in _PLOTS if any(word in name for word in words)), None)


def curves(warehouse: Warehouse, run_key: str) -> list[dict[str, str]]:
    """Plots {title, svg} of everything logged under `run_key` that has more than one step."""
    rows = warehouse.rows("SELECT name, step, value FROM metrics WHERE run_key = ? ORDER BY name, step", [run_key])
    plots: dict[str, dict[str, list[tuple[float, float]]]] = {title: {} for title, _ in _PLOTS}
    for row in rows:
        title = _plot_of(row["name"])
        if title is not None:
            plots[title].setdefault(row["name"], []).append((row["step"], row["value"]))
    found = []
    for title, named in plots.items():
        drawn: dict[str, Curve] = {name: points for name, points in named.items() if len(points) > 1}
        if drawn:
            found.append({"title": title, "svg": lines(drawn, "step", "")})
    return found


def evaluations(warehouse: Warehouse, model_id: str) -> list[dict[str, Any]]:
    """Everything measured of a model: on what, metric, value and interval; slices by order and task are left out."""
    rows = warehouse.rows("SELECT dataset, slice, metric, value, n, ci_low, ci_high FROM evaluations "
                          "WHERE model_id = ? ORDER BY dataset, metric, slice", [model_id])
    shown = [row for row in rows if "order=" not in row["slice"] and "task=" not in row["slice"]]
    return [row | {"on": _readable(row["dataset"], row["slice"])} for row in shown]


def _readable(dataset: str, part: str) -> str:
    text = f"{dataset}, {part}".replace("/dimension=", ", ").replace("gold:held_out", "gold, held-out prompts")
    return text.replace("_", " ")


def attacks(warehouse: Warehouse, model_id: str) -> list[dict[str, Any]]:
    """The gate: each attack with its value and whether the model stood it."""
    return warehouse.rows("SELECT attack, key, value, n, passed FROM attack_results WHERE model_id = ? "
                          "ORDER BY attack, key", [model_id])
