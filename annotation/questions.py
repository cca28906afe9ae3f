"""Stage `questions`: pairs whose answer is known, from a table that the data lead wrote.

They admit raters (admission.py) and are mixed into campaigns (gold.py). A row names a pair, its dimension ("overall"
where there is no such column), the right answer in terms of candidates a and b, and why: the explanation is shown to
raters after their answer, so it speaks of what is seen, not of a and b. `draft` begins such a table.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Set
from pathlib import Path

from warehouse import Warehouse
from warehouse.errors import ConflictError, InvalidInputError, NotFoundError
from warehouse.hashing import canonical_json, content_id
from warehouse.records import DIMENSIONS, LABELS, Row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_PAIRS = "SELECT pair_id, task FROM pairs WHERE pair_id IN (SELECT unnest(?::VARCHAR[]))"
_NEEDED = ("pair_id", "label", "explanation")
_DRAFTED = ("pair_id", "dimension", "label", "explanation", "prompt", "media_a", "media_b")
# Pairs on which voters do not disagree, those of most voters first.
_DRAFT = """
SELECT r.pair_id, CASE WHEN count(DISTINCT v.annotator_id) > 1 THEN any_value(v.label) ELSE '' END AS label,
    any_value(p.text) AS prompt, any_value(a.media_id) AS media_a, any_value(b.media_id) AS media_b
FROM pairs r JOIN prompts p USING (prompt_id)
JOIN candidates a ON a.candidate_id = r.candidate_a JOIN candidates b ON b.candidate_id = r.candidate_b
LEFT JOIN votes v ON v.pair_id = r.pair_id AND v.dimension = $dimension AND NOT coalesce(v.deleted, false)
WHERE r.task = $task AND a.media_id IS NOT NULL AND b.media_id IS NOT NULL
    AND r.pair_id NOT IN (SELECT pair_id FROM gold_items WHERE dimension = $dimension)
GROUP BY r.pair_id HAVING count(DISTINCT v.label) < 2
ORDER BY count(DISTINCT v.annotator_id) DESC, r.pair_id LIMIT $wanted
"""


class QuestionConfig(StageConfig):
    """The CSV file: pair_id, label, explanation, and optionally dimension."""

    file: Path


def draft(warehouse: Warehouse, file: Path, task: str, dimension: str, wanted: int) -> int:
    """Write a table of pairs that could become questions, to be completed; how many there are.

    Labels are those on which all voters (two or more) agree; others, and all explanations, are left to be filled in,
    from the media beside them. Raises ConflictError where the file exists, NotFoundError where no pair is usable.
    """
    if file.exists():
        raise ConflictError(f"{file} exists already", hint="name another file: a draft overwrites nothing")
    rows = warehouse.rows(_DRAFT, {"task": task, "dimension": dimension, "wanted": wanted})
    if not rows:
        raise NotFoundError(f"no pair of {task} could become a question about {dimension}",
                            hint="rewarddance annotate pairs makes pairs of candidates")
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, _DRAFTED)
        writer.writeheader()
        for row in rows:
            seen = {name: str(warehouse.media.path(row[name])) for name in ("media_a", "media_b")}
            writer.writerow(row | seen | {"dimension": dimension, "explanation": ""})
    return len(rows)


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
