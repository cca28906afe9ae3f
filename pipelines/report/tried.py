"""The page that a session of `rewarddance try` leaves behind: win rates, and every pair with what was said of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from pipelines.report.inline import Picture, stored
from warehouse import Warehouse

_FOLDER = Path(__file__).resolve().parent
_WORDS = {"tie": "about the same", "both_bad": "both bad"}


@dataclass(frozen=True)
class Outcome:
    """One voted pair as it was shown; `won` is left, right or "" (then `word` says what)."""

    prompt: str
    left: Picture | None
    right: Picture | None
    left_name: str
    right_name: str
    won: str
    word: str


def outcome(warehouse: Warehouse, row: Mapping[str, Any]) -> Outcome:
    """A row of `annotation.voter.results.voted` as the page shows it."""
    left, right = ("a", "b") if row["left_side"] == "a" else ("b", "a")
    return Outcome(
        prompt=row["prompt"],
        left=stored(warehouse, row[f"media_{left}"], 240),
        right=stored(warehouse, row[f"media_{right}"], 240),
        left_name=row[f"generator_{left}"],
        right_name=row[f"generator_{right}"],
        won={left: "left", right: "right"}.get(row["label"], ""),
        word=_WORDS.get(row["label"], ""),
    )


def write_page(
    warehouse: Warehouse, found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], path: Path, limit: int = 300
) -> None:
    """The page at `path`, all of it or nothing; at most the `limit` latest pairs carry their pictures."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    pairs = [outcome(warehouse, row) for row in reversed(rows[-limit:])]
    text = environment.get_template("tried.html.j2").render(found=found, pairs=pairs)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
