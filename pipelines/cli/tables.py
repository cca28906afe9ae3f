"""Rows as a table and lineage as a tree on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.tree import Tree

_SHOWN = (
    "name",
    "text",
    "method",
    "split",
    "dimension",
    "label",
    "p_a",
    "n_votes",
    "value",
    "pseudonym",
    "verdict",
    "rank",
)
_PIPE_WIDTH = 240


def _console() -> Console:
    """The terminal; in a pipe lines are not folded to a window that is not there."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, highlight=False)


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(part)}" for name, part in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(_cell, value)) or "-"
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_table(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Rows as a table, columns in the order in which they are met; nothing but `(none)` where there are no rows."""
    console = _console()
    if not rows:
        console.print(f"{title}: (none)" if title else "(none)")
        return
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        is_number = isinstance(rows[0].get(name), int | float)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    console.print(table)


def print_answer(document: Mapping[str, Any]) -> None:
    """One fact a line, then the lists of rows, each as a table."""
    tables = {name: value for name, value in document.items() if isinstance(value, list) and value and
              all(isinstance(row, Mapping) for row in value)}  # fmt: skip
    for name, value in document.items():
        if name not in tables:
            print(f"{name:<20} {value if isinstance(value, float) else _cell(value)}")
    for name, rows in tables.items():
        print()
        print_table(rows, name)


def print_versions(rows: Sequence[Mapping[str, Any]]) -> None:
    """Dataset versions, one a line, and what changed in each where that was asked for."""
    shown = [
        {
            "version": f"{row['name']}@{row['version']}",
            "hash": row["hash"][:12],
            "state": row["state"],
            "made": row["created_at"][:16].replace("T", " "),
            "tags": row["tags"],
            "rows": row["rows"],
            "splits": row["splits"],
            **{name: row[name] for name in ("changes", "recipe") if name in row},
        }
        for row in rows
    ]
    print_table(shown)


def _label(node: Any) -> str:
    facts = [_cell(node.facts[name]) for name in _SHOWN if node.facts.get(name) is not None]
    again = "  (as above)" if node.repeated else ""
    return f"{node.kind} {node.id}  {', '.join(facts)}"[:160] + again


def print_lineage(title: str, root: Any) -> None:
    """A warehouse.lineage.Node as a tree."""

    def grow(branch: Tree, node: Any) -> None:
        for child in node.children:
            grow(branch.add(_label(child), highlight=False), child)
        if node.more:
            branch.add(f"… {node.more} more", highlight=False)

    tree = Tree(f"{title}: {_label(root)}", highlight=False)
    grow(tree, root)
    _console().print(tree)
