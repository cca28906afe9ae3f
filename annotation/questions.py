"""Stage `questions`: pairs whose answer is known, from a table that the data lead wrote.

They admit raters (admission.py) and are mixed into campaigns (gold.py). A row names a pair, its dimension ("overall"
where there is no such column), the right answer in terms of candidates a and b, and why: the explanation is shown to
raters after their answer, so it speaks of what is seen, not of a and b.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Set
from pathlib import Path

from warehouse import Warehouse
from warehouse.errors import InvalidInputError, NotFoundError
from warehouse.hashing import canonical_json, content_id
from warehouse.records import DIMENSIONS, LABELS, Row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_PAIRS = "SELECT pair_id, task FROM pairs WHERE pair_id IN (SELECT unnest(?::VARCHAR[]))"
_NEEDED = ("pair_id", "label", "explanation")


class QuestionConfig(StageConfig):
    """The CSV file: pair_id, label, explanation, and optionally dimension."""

    file: Path


def _fault(row: Row, tasks: Mapping[str, str], dimensions: Set[str]) -> str:
    """Why a row cannot be used, "" where it can."""
    if row["pair_id"] not in tasks:
        return "unknown_pair"
    if row["label"] not in LABELS:
        return "unknown_label"
    if row["dimension"] not in dimensions:
        return "unknown_dimension"
    return "" if row["explanation"] else "no_explanation"


def _read(file: Path) -> list[Row]:
    if not file.is_file():
        raise NotFoundError(f"no file {file}")
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    if rows and not set(_NEEDED) <= set(rows[0]):
        raise InvalidInputError(f"columns {', '.join(rows[0])}", where=str(file),
                                hint=f"a header with {', '.join(_NEEDED)}, and dimension where it is not overall")
    named = {"dimension": "overall"}
    return [named | {name: (value or "").strip() for name, value in row.items() if name} for row in rows]


def run(config: QuestionConfig, warehouse: Warehouse) -> Receipt:
    """Add the known answers; rows that do not fit are rejects with their line."""
    rows = _read(config.file)
    tasks = {row["pair_id"]: row["task"] for row in warehouse.rows(_PAIRS, [[row["pair_id"] for row in rows]])}
    own = {row["dimension"] for row in warehouse.rows("SELECT DISTINCT dimension FROM dimensions")}
    dimensions = own | set(DIMENSIONS)

    def body(recorder: Recorder) -> None:
        recorder.count("read", len(rows))
        known: list[Row] = []
        for line, row in enumerate(rows, start=2):
            reason = _fault(row, tasks, dimensions)
            if reason:
                recorder.reject(source=f"questions:{config.file.name}", location=f"{config.file.name}:{line}",
                                reason=reason, detail=f"pair {row['pair_id']}, label {row['label']!r}")
            else:
                known.append({name: row[name] for name in ("pair_id", "dimension", "label", "explanation")}
                             | {"source": config.file.name})
        recorder.count("questions", warehouse.merge("gold_items", known, run_id=recorder.run_id))

    return run_stage("questions", config, warehouse,
                     {"rows": content_id("questions", canonical_json(rows)),
                      "pairs": content_id("pairs", *sorted(tasks))}, body)
