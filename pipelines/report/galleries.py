"""Pictures before and after alignment with the same noise, and media that came from outside and wait for votes."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.report.inline import Picture, stored
from warehouse import Warehouse
from warehouse.hashing import content_id

_BEFORE_AFTER = """
SELECT p.text AS prompt, p.prompt_id, min_by(c.media_id, c.seed) AS before, min_by(d.media_id, c.seed) AS after
FROM candidates c JOIN candidates d ON d.prompt_id = c.prompt_id AND d.seed = c.seed
JOIN prompts p ON p.prompt_id = c.prompt_id
WHERE c.generator_id = ? AND d.generator_id = ? AND (? = '' OR p.source = ?) GROUP BY ALL
"""
_UNVOTED = """
SELECT p.prompt_id, p.text AS prompt, c.source, g.name AS generator, c.media_id,
(SELECT count(*) FROM annotation_tasks t JOIN pairs r USING (pair_id) WHERE r.prompt_id = p.prompt_id) AS tasks
FROM candidates c JOIN prompts p USING (prompt_id) JOIN media m USING (media_id)
LEFT JOIN generators g ON g.generator_id = c.generator_id
WHERE NOT EXISTS (SELECT 1 FROM votes v JOIN pairs r USING (pair_id) WHERE r.prompt_id = p.prompt_id)
ORDER BY p.prompt_id, g.name, c.candidate_id
"""
_MOST_PER_PROMPT = 6


@dataclass(frozen=True)
class BeforeAfter:
    """One prompt, one noise, two generators."""

    prompt: str
    before: Picture
    after: Picture


@dataclass(frozen=True)
class Unvoted:
    """The media of one prompt that nobody has voted on: (generator, picture), and how many tasks wait for raters."""

    prompt: str
    source: str
    pictures: list[tuple[str, Picture]]
    tasks: int


def before_after(warehouse: Warehouse, before: str, after: str, source: str, limit: int = 24) -> list[BeforeAfter]:
    """Prompts chosen by hash; of each the candidate with the smallest seed that both generators have."""
    rows = warehouse.rows(_BEFORE_AFTER, [before, after, source, source])
    rows.sort(key=lambda row: content_id("report gallery", row["prompt_id"]))
    shown = [(row["prompt"], stored(warehouse, row["before"]), stored(warehouse, row["after"])) for row in rows[:limit]]
    return [BeforeAfter(prompt, first, second) for prompt, first, second in shown if first and second]


def unvoted(warehouse: Warehouse, limit: int = 4) -> list[Unvoted]:
    """Prompts with media and without a vote, chosen by hash."""
    groups: dict[str, list[dict[str, str]]] = {}
    for row in warehouse.rows(_UNVOTED):
        groups.setdefault(row["prompt_id"], []).append(row)
    chosen = sorted(groups, key=lambda key: content_id("report unvoted", key))[:limit]
    found = []
    for rows in (groups[key][:_MOST_PER_PROMPT] for key in chosen):
        pictures = [(row["generator"] or "", picture) for row in rows
                    if (picture := stored(warehouse, row["media_id"])) is not None]
        found.append(Unvoted(rows[0]["prompt"], rows[0]["source"], pictures, int(rows[0]["tasks"])))
    return found
