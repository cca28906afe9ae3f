"""A table of the paper beside ours as one HTML page, Markdown and JSON; what it claims, and whether that holds here.

A claim holds where the whole interval of the difference lies above zero in and out of distribution alike; anything
else is said as plainly.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from pipelines.reproduction.measure import SPLITS, Measured, Plan
from pipelines.reproduction.tables import PaperTable

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.3rem .7rem;border-bottom:1px solid #e4e7eb;vertical-align:top}
.muted{color:#667}.sides{display:grid;grid-template-columns:2fr 1fr;gap:2rem}.yes{color:#17693b}.no{color:#a12622}
.open{color:#8a6100}"""


def document(table: PaperTable, measured: Sequence[Measured], plan: Plan) -> dict[str, Any]:
    """All that the page says, in plain values; accuracies are shares."""
    by_name = {each.arm: each for each in measured}
    return {
        "table": table.number, "title": table.title, "question": table.question, "note": table.note,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "dataset": f"{plan.dataset}@{plan.version}", "steps": plan.steps, "batch_pairs": plan.batch_pairs,
        "learning_rate": plan.learning_rate,
        "paper": {"columns": list(table.columns), "rows": [[name, *values] for name, values in table.published]},
        "arms": [{"name": each.arm, "seeds": len(each.seeds),
                  **{split: {**each.accuracy(split).as_json(), "by_seed": each.right[split].mean(axis=1).tolist(),
                             "both_orders": each.both_orders(split).as_json()}
                     for split in SPLITS}} for each in measured],
        "claims": [{"worse": worse, "better": better,
                    **{split: by_name[better].lead_over(by_name[worse], split).as_json() for split in SPLITS},
                    "verdict": _verdict(by_name[worse], by_name[better])}
                   for worse, better in table.claims if worse in by_name and better in by_name],
        "missing": [arm.name for arm in table.arms if arm.name not in by_name],
    }


def _verdict(worse: Measured, better: Measured) -> str:
    """holds, reversed, or not shown."""
    leads = [better.lead_over(worse, split) for split in SPLITS]
    if all(lead.ci_low > 0 for lead in leads):
        return "holds"
    if all(lead.ci_high < 0 for lead in leads):
        return "reversed"
    return "not shown"


def _points(value: dict[str, Any], sign: str = "") -> str:
    middle, low, high = (100 * value[name] for name in ("value", "ci_low", "ci_high"))
    return f"{middle:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"


def _seeds(value: dict[str, Any]) -> str:
    return " / ".join(f"{100 * each:.1f}" for each in value["by_seed"])


def _cells(value: dict[str, Any]) -> str:
    return f"{_points(value)} | {_seeds(value)} | {_points(value['both_orders'])}"


_SAID = {"holds": "The paper's order holds here", "reversed": "The paper's order is REVERSED here",
         "not shown": "The paper's order is NOT shown here"}


def _claim(claim: dict[str, Any]) -> str:
    leads = ", ".join(f"{split} {_points(claim[split], '+')} points" for split in SPLITS)
    return f"{_SAID[claim['verdict']]}: {claim['better']} over {claim['worse']}: {leads}."


def _about(found: dict[str, Any]) -> str:
    return (f"Simulation, {found['dataset']}, accuracy against the consensus of votes on pairs that are no ties; "
            f"ID: prompts not trained on; OOD: kinds of prompts not trained on. {found['steps']} steps of "
            f"{found['batch_pairs']} pairs, learning rate {found['learning_rate']:g}, the same for every arm. Brackets "
            "are 95 % intervals over seeds and prompts. Accuracy is the mean of the two orders; 'both orders' is that "
            "of their mean log-odds: a pairwise model may lean to a place, a pointwise one cannot. "
            f"{found['date']}, {found['machine']}.")


def markdown(found: dict[str, Any]) -> str:
    """The page for a repository."""
    lines = [f"# Table {found['table']} in miniature: {found['title']}", "", found["question"], "", _about(found), "",
             "| ours | seeds | ID accuracy % | by seed | both orders | OOD accuracy % | by seed | both orders |",
             "|---|---|---|---|---|---|---|---|"]
    lines += [f"| {arm['name']} | {arm['seeds']} | {' | '.join(_cells(arm[split]) for split in SPLITS)} |"
              for arm in found["arms"]]
    columns = found["paper"]["columns"]
    lines += ["", f"| the paper | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    lines += [f"| {name} | {' | '.join(f'{value:g}' for value in values)} |"
              for name, *values in found["paper"]["rows"]]
    lines += ["", *(f"- {_claim(claim)}" for claim in found["claims"])]
    lines += [f"- Not trained within the budget: {', '.join(found['missing'])}."] if found["missing"] else []
    return "\n".join([*lines, "", found["note"], "",
                      f"Command: `rewarddance reproduce --table {found['table']}`.", ""])


def html(found: dict[str, Any]) -> str:
    """One self-contained page."""
    ours = "".join(f"<tr><td>{escape(arm['name'])}<td>{arm['seeds']}" + "".join(
        f"<td>{_points(arm[split])} {_bar(arm[split])}<br><span class=muted>seeds {_seeds(arm[split])}<br>"
        f"both orders {_points(arm[split]['both_orders'])}</span>"
        for split in SPLITS) for arm in found["arms"])
    head = "".join(f"<th>{escape(name)}" for name in found["paper"]["columns"])
    theirs = "".join(f"<tr><td>{escape(name)}" + "".join(f"<td>{value:g}" for value in values)
                     for name, *values in found["paper"]["rows"])
    colours = {"holds": "yes", "reversed": "no", "not shown": "open"}
    claims = "".join(f"<li class={colours[claim['verdict']]}>{escape(_claim(claim))}" for claim in found["claims"])
    missing = f"<p class=no>Not trained within the budget: {escape(', '.join(found['missing']))}.</p>"
    title = f"Table {found['table']} in miniature: {found['title']}"
    return (f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style>"
            f"<h1>{escape(title)}</h1><p>{escape(found['question'])}</p><ul>{claims}</ul>"
            f"{missing if found['missing'] else ''}"
            f"<div class=sides><section><h2>Ours</h2><table><tr><th>arm<th>seeds<th>ID accuracy %<th>OOD accuracy %"
            f"{ours}</table></section><section><h2>The paper</h2><table><tr><th>{head}{theirs}</table></section></div>"
            f"<p class=muted>{escape(found['note'])}</p><p class=muted>{escape(_about(found))}</p></html>\n")


def _bar(value: dict[str, Any]) -> str:
    """An interval between 50 % and 100 %."""
    low, high, middle = (max(0.0, 240 * (value[name] - 0.5)) for name in ("ci_low", "ci_high", "value"))
    return (f"<svg width=120 height=12 style='background:#f3f5f7'><rect x={low:.1f} width={max(high - low, 1):.1f} y=3 "
            f"height=6 fill=#9db8e8 /><circle cx={middle:.1f} cy=6 r=3 fill=#1f4fa3 /></svg>")
