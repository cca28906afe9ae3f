"""The table that ends a run on the terminal, and the commands to try next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def number(value: Any) -> str:
    """Three decimals of a float; a count as it is; a dash for what was not measured."""
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def interval(item: Mapping[str, Any]) -> str:
    """`value [low, high], n`."""
    if item.get("value") is None:
        return "-"
    return f"{number(item['value'])} [{number(item['ci_low'])}, {number(item['ci_high'])}], n={item['n']}"


def result_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a reader wants to know first, as (what, value) rows; rows without a measurement are left out."""
    alpha = summary["agreement"]["alpha"] or {}
    reward, aligned, counts = summary["rm"], summary["alignment"], summary["counts"]
    rows = [("prompts, images, clips", f"{counts['prompts']}, {counts['candidates']['images']}, "
                                       f"{counts['candidates']['clips']}"),
            ("pairs, votes, rejects", f"{counts['pairs']}, {counts['votes']}, {counts['rejects']}"),
            ("agreement (alpha)", ", ".join(f"{key} {number(value)}" for key, value in alpha.items())),
            ("reward model, in distribution", interval(reward["accuracy_id"])),
            ("reward model, out of distribution", interval(reward["accuracy_ood"])),
            ("gain over the pretrained model", interval(reward["gain_over_pretrained"]))]
    for kind in ("image", "video"):
        item = aligned[kind]
        if item["gold_before"] is not None:
            gain = f"gain [{number(item['gain_ci_low'])}, {number(item['gain_ci_high'])}]"
            rows.append((f"gold of the generator, {kind}",
                         f"{number(item['gold_before'])} -> {number(item['gold_after'])}, {gain}"))
    for name, item in summary["placebo"].items():
        if item["gold_gain"] is not None or item["accuracy_taste"] is not None:
            rows.append((f"placebo: {name.replace('_', ' ')}", f"accuracy {number(item['accuracy_taste'])}, gold gain "
                         f"{number(item['gold_gain'])}"))
    if any(value is not None for value in summary["search"].values()):
        rows.append(("best of N, gold", ", ".join(f"N={n} {number(value)}" for n, value in summary["search"].items())))
    return [(what, value) for what, value in rows if value not in {"", "-"}]


def next_commands(summary: Mapping[str, Any]) -> list[str]:
    """Commands that go on from this run, with its warehouse filled in."""
    place = f"--warehouse {summary['warehouse']}"
    commands = [f"rewarddance dataset list {place}",
                f'rewarddance sql "SELECT dimension, label, count(*) AS n FROM votes GROUP BY ALL" {place}']
    dataset = summary["dataset"]
    if dataset["name"]:
        commands.insert(1, f"rewarddance dataset show {dataset['name']}@{dataset['version']} {place}")
    return commands


def print_results(summary: Mapping[str, Any]) -> None:
    """The table, the report's path and the next commands, on stdout."""
    console = Console()
    table = Table(title=f"{summary['name']}: results", title_justify="left", show_header=False)
    for what, value in result_rows(summary):
        table.add_row(what, value)
    console.print(table)
    if not summary["changed"]:
        console.print("nothing has changed since the last run")
    console.print(f"report: {summary['report']}", soft_wrap=True, highlight=False)
    console.print("next:", highlight=False)
    for command in next_commands(summary):
        console.print(f"  {command}", soft_wrap=True, highlight=False)
