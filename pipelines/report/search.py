"""Best-of-N at test time: gold of the picked candidate by N, and some prompts' candidates in order of the reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.report.inline import Picture, stored
from pipelines.report.plots import lines
from warehouse import Warehouse
from warehouse.hashing import content_id

_SCORED = """
SELECT p.prompt_id, p.text AS prompt, c.media_id, avg(r.value) AS value
FROM rewards r JOIN candidates c ON c.candidate_id = r.candidate_id JOIN prompts p ON p.prompt_id = c.prompt_id
WHERE r.model_id = ? AND c.generator_id = ? AND c.media_id IS NOT NULL GROUP BY ALL ORDER BY value DESC, c.media_id
"""


@dataclass(frozen=True)
class Example:
    """One prompt's candidates, best reward first."""

    prompt: str
    pictures: list[Picture]


@dataclass(frozen=True)
class Search:
    """The plot of gold by N and a few prompts to look at."""

    svg: str
    examples: list[Example]


def examples(warehouse: Warehouse, reward_model: str, generator: str, limit: int = 3) -> list[Example]:
    """Prompts chosen by hash among those with several scored candidates of `generator`."""
    groups: dict[str, list[dict[str, str]]] = {}
    for row in warehouse.rows(_SCORED, [reward_model, generator]):
        groups.setdefault(row["prompt_id"], []).append(row)
    chosen = sorted((key for key, rows in groups.items() if len(rows) > 1),
                    key=lambda key: content_id("report search", key))[:limit]
    return [Example(groups[key][0]["prompt"], [picture for row in groups[key]
                                               if (picture := stored(warehouse, row["media_id"], 64)) is not None])
            for key in chosen]


def best_of_n(
    warehouse: Warehouse, reward_model: str, generator: str, gold: Mapping[str, float | None]
) -> Search | None:
    """The section; None where nothing was searched. `gold` maps N to gold of the picked candidate."""
    points = sorted((int(n), value) for n, value in gold.items() if value is not None)
    shown = examples(warehouse, reward_model, generator) if generator else []
    if not points and not shown:
        return None
    return Search(lines({"picked": points}, "N candidates to pick from", "gold, 0 to 1", [n for n, _ in points]), shown)
