"""One page that sets scorers side by side: what each attack did to each, from their last finished gates.

Ours and other people's alike, in Markdown. A bold number passed its limit; a dash means that this was not asked.
"""

from __future__ import annotations

from collections.abc import Sequence

from rm.promotion import last_gate
from warehouse import Warehouse
from warehouse.errors import NotFoundError
from warehouse.records import Row


def gate_card(warehouse: Warehouse, subjects: Sequence[str]) -> str:
    """The page for model ids, as the gate gave them; raises NotFoundError for one that was never examined."""
    names = {row["model_id"]: row["name"] for row in warehouse.rows("SELECT model_id, name FROM models")}
    found = {subject: _measured(warehouse, subject) for subject in subjects}
    asked = list(dict.fromkeys(key for measured in found.values() for key in measured))
    head = [names.get(subject) or subject for subject in subjects]
    verdicts = ["passed" if all(row["passed"] for row in found[s].values()) else "failed" for s in subjects]
    lines = ["# Attack gate", "", "Shares and distances: smaller is better, but for score levels. Bold fails.", "",
             f"| | {' | '.join(head)} |", f"|---|{'---|' * len(subjects)}",
             f"| **verdict** | {' | '.join(verdicts)} |"]
    for key in asked:
        cells = [_cell(found[subject].get(key)) for subject in subjects]
        lines.append(f"| {key.replace('_', ' ').replace(':', ': ')} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _measured(warehouse: Warehouse, subject: str) -> dict[str, Row]:
    rows = last_gate(warehouse, subject)
    if not rows:
        raise NotFoundError(f"{subject} has not been through the gate", hint="run: rewarddance rm gate")
    return {row["name"]: row for row in rows}


def _cell(row: Row | None) -> str:
    if row is None:
        return "-"
    text = f"{row['value']:.2f}" if row["value"] != int(row["value"]) else f"{int(row['value'])}"
    if row["ci_low"] is not None:
        text += f" ({row['ci_low']:.2f} - {row['ci_high']:.2f})"
    return text if row["passed"] else f"**{text}**"
