"""Pages about dataset versions, each one HTML file without any outside reference: browse a version, see a diff.

A page shows cards of samples with media, votes and rationale, and filters them in the browser.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from pipelines.report.inline import Picture, stored
from warehouse import Warehouse
from warehouse.datasets.diff import diff
from warehouse.datasets.versions import counted_sql, find_version, votes_at
from warehouse.views import using

_FOLDER = Path(__file__).resolve().parent
_SIDE_PX = 192
_ROWS = """
SELECT d.*, r.text AS rationale, r.author_kind FROM dataset_samples d
LEFT JOIN rationales r ON r.rationale_id = d.rationale_id
WHERE d.name = $1 AND d.version = $2 AND (len($4::VARCHAR[]) = 0 OR list_contains($4::VARCHAR[], d.sample_key))
ORDER BY d.sample_key LIMIT $3
"""
_VOTES = """
SELECT sample_key, pseudonym, annotator_kind, label, seconds FROM sample_votes
WHERE name = $1 AND version = $2 AND sample_key IN (SELECT unnest($3)) AND {counted}
ORDER BY sample_key, pseudonym, vote_id
"""


@dataclass(frozen=True)
class Card:
    """One sample on a page; `facets` are what the filters look at, `changes` what a diff found."""

    row: Mapping[str, Any]
    a: Picture | None
    b: Picture | None
    votes: Sequence[Mapping[str, Any]]
    facets: Mapping[str, str]
    changes: Mapping[str, Sequence[str | None]] = field(default_factory=dict)


def _verdict(p_a: float) -> str:
    return "tie" if p_a == 0.5 else "a" if p_a > 0.5 else "b"


def _cards(
    warehouse: Warehouse,
    version: dict[str, Any],
    limit: int,
    keys: Sequence[str] = (),
    changes: Mapping[str, Mapping[str, Sequence[str | None]]] | None = None,
    group: str = "",
) -> list[Card]:
    """Cards of at most `limit` samples of a version, of `keys` alone where there are any."""
    place = [version["name"], version["version"]]
    rows = warehouse.rows(using(_ROWS), [*place, limit, list(keys)])
    votes: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    query = using(_VOTES.format(counted=counted_sql(warehouse, version)), votes_at(warehouse, version))
    for vote in warehouse.rows(query, [*place, [row["sample_key"] for row in rows]]):
        votes[vote["sample_key"]].append(vote)
    return [
        Card(
            row,
            stored(warehouse, row["media_a"], _SIDE_PX),
            stored(warehouse, row["media_b"], _SIDE_PX),
            votes[row["sample_key"]],
            _facets(row, votes[row["sample_key"]], group),
            (changes or {}).get(row["sample_key"], {}),
        )
        for row in rows
    ]


def _facets(row: Mapping[str, Any], votes: Sequence[Mapping[str, Any]], group: str) -> dict[str, str]:
    unanimous = len({vote["label"] for vote in votes}) <= 1
    facets = {
        "split": row["split"],
        "task": row["task"],
        "dimension": row["dimension"],
        "verdict": _verdict(row["p_a"]),
        "votes": "raters agree" if unanimous else "raters disagree",
        "rationale": "with rationale" if row["rationale"] else "no rationale",
        "generators": " | ".join(sorted({row["generator_name_a"] or "?", row["generator_name_b"] or "?"})),
    }
    return {"change": group, **facets} if group else facets


def _write(path: Path, title: str, intro: Mapping[str, Any], cards: Sequence[Card]) -> Path:
    """The page at `path`, all of it or nothing."""
    choices: dict[str, list[str]] = {}
    for name in cards[0].facets if cards else ():
        values = sorted({card.facets[name] for card in cards})
        if len(values) > 1:
            choices[name] = values
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    text = environment.get_template("samples.html.j2").render(title=title, intro=intro, cards=cards, choices=choices)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return path


def browse_page(warehouse: Warehouse, reference: str, path: Path, limit: int) -> dict[str, Any]:
    """Write the page of a version: {page, version, shown, rows}. Samples are taken in order of their key, a hash."""
    row = find_version(warehouse, reference)
    version = f"{row['name']}@{row['version']}"
    cards = _cards(warehouse, row, limit)
    total = warehouse.rows(
        "SELECT count(*) AS n FROM samples WHERE name = ? AND version = ?", [row["name"], row["version"]]
    )[0]["n"]
    intro = {"hash": row["hash"], "state": row["state"], "samples": f"{len(cards)} of {total}"}
    _write(path, version, intro, cards)
    return {"page": str(path), "version": version, "shown": len(cards), "rows": total}


def diff_page(warehouse: Warehouse, first: str, second: str, path: Path, limit: int) -> dict[str, Any]:
    """Write the page of a diff, and return the diff with `page`."""
    found = diff(warehouse, first, second, limit)
    old, new = find_version(warehouse, first), find_version(warehouse, second)
    fields = {row["sample_key"]: row["fields"] for row in found["changed"]}
    cards = []
    for group, version in (("added", new), ("removed", old), ("changed", new)):
        keys = [row["sample_key"] for row in found[group]]
        cards += _cards(warehouse, version, limit, keys, fields, group) if keys else []
    intro = {name: f"{n} samples" for name, n in found["counts"].items()}
    intro |= {f"changed {name}": f"{n} samples" for name, n in found["fields"].items()}
    _write(path, f"{found['a']} to {found['b']}", intro, cards)
    return found | {"page": str(path)}
