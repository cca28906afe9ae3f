"""The table that ends a run on the terminal, and the commands to try next."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_GOLD = "gold: the exact score of the simulated world; proxy: what the reward model says"


def number(value: Any) -> str:
    """Three decimals of a float; a count as it is; a dash for what was not measured."""
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _percent(item: Mapping[str, Any], unit: str = "%", sign: str = "") -> str:
    """`65.0 % [50.0, 78.0], 40 pairs` of a share with its interval; empty where it was not measured."""
    if item["value"] is None:
        return ""
    value, low, high = (100 * item[key] for key in ("value", "ci_low", "ci_high"))
    return f"{value:{sign}.1f} {unit} [{low:{sign}.1f}, {high:{sign}.1f}], {item['n']} pairs"


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value < 100 else f"{value // 60:.0f} min {value % 60:.0f} s"


def _made(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    counts, dataset = summary["counts"], summary["dataset"]
    alpha = summary["agreement"]["alpha"] or {}
    samples = sum((dataset["samples"] or {}).values())
    return [
        ("made", f"{counts['prompts']} prompts, {counts['candidates']['images']} images, "
                 f"{counts['candidates']['clips']} clips"),
        ("voted on", f"{counts['pairs']} pairs, {counts['votes']} votes, {counts['rejects']} rejects"),
        ("agreement of raters (alpha)",
         ", ".join(f"{key.replace('_', ' ')} {number(value)}" for key, value in alpha.items() if value is not None)
         or ("no pair has two votes" if alpha else "")),
        ("dataset", f"{dataset['name']}@{dataset['version']}, {samples} samples, {dataset['hash'][:12]}"
                    if dataset["hash"] else ""),
    ]


def _learned(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    reward = summary["rm"]
    rows = [("reward model agrees with gold", _percent(reward["accuracy_id"])),
            ("  on unseen kinds of prompts", _percent(reward["accuracy_ood"])),
            ("  more than before any vote", _percent(reward["gain_over_pretrained"], "points", "+"))]
    for kind, name in (("image", "images"), ("video", "clips")):
        item = summary["alignment"][kind]
        if item["gold_before"] is not None:
            rows.append((f"gold of {name}, aligned", f"{item['gold_before']:.3f} -> {item['gold_after']:.3f}, gain "
                         f"[{item['gain_ci_low']:+.3f}, {item['gain_ci_high']:+.3f}], {item['n_prompts']} prompts"))
            rows.append(("  its reward (proxy)", f"{number(item['proxy_before'])} -> {number(item['proxy_after'])}"))
    for name, item in summary["placebo"].items():
        if item["gold_gain"] is not None or item["accuracy_taste"] is not None:
            rows.append((f"placebo, {name.replace('_', ' ')}", f"agreement with the taste "
                         f"{number(item['accuracy_taste'])}, gold gain {number(item['gold_gain'])}"))
    picked = [f"N={n} {number(value)}" for n, value in summary["search"].items() if value is not None]
    return [*rows, ("gold of the best of N", ", ".join(picked))]


def result_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a reader wants to know first, as (what, value) rows; rows without a measurement are left out."""
    return [(what, value) for what, value in [*_made(summary), *_learned(summary)] if value]


def program() -> str:
    """How this program was called, so that a printed command can be pasted: its path where it is not on PATH."""
    own, found = Path(sys.argv[0]), shutil.which("rewarddance")
    if own.name != "rewarddance" or (found and own.exists() and Path(found).samefile(own)):
        return "rewarddance"
    return _near(str(own))


def _near(path: str) -> str:
    """`path` from here where it lies below the working directory, else as it is."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def next_commands(summary: Mapping[str, Any]) -> list[str]:
    """Commands that go on from this run, with its warehouse filled in."""
    call, place = program(), f"--warehouse {_near(summary['warehouse'])}"
    dataset = summary["dataset"]
    commands = [f'{call} sql "SELECT dimension, label, count(*) AS n FROM votes GROUP BY ALL ORDER BY ALL" {place}']
    if dataset["name"]:
        commands.insert(0, f"{call} dataset show {dataset['name']}@{dataset['version']} {place}")
    if summary["simulated"]:
        # A run on real media that lies here is what this run's report opens with, once it is made again.
        out = Path(summary["warehouse"]).parent
        run = f"{call} run configs/real_media.yaml --out {_near(str(out.parent / 'real_media'))}"
        commands.append(f"{run} && {call} report {_near(str(out))}")
    return commands


def print_results(summary: Mapping[str, Any]) -> None:
    """The table, the report's path and the next commands, on stdout."""
    console = Console()
    table = Table(title=summary["title"] or summary["name"], title_justify="left", show_header=False,
                  caption=_GOLD if summary["simulated"] else None, caption_justify="left")
    for what, value in result_rows(summary):
        table.add_row(what, value)
    console.print(table)
    if summary["changed"]:
        console.print(f"took {_seconds(summary['seconds']['total'])}", highlight=False)
    else:
        console.print("nothing has changed since the last run", highlight=False)
    if summary["report"]:
        console.print(f"[bold]report: {_near(summary['report'])}[/bold]", soft_wrap=True, highlight=False)
    console.print("next:", highlight=False)
    for command in next_commands(summary):
        console.print(f"  {command}", soft_wrap=True, highlight=False, markup=False)
