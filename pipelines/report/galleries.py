"""Pictures before and after alignment with the same noise, best-of-N at test time, and media that came from outside."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.report.inline import Picture, stored
from warehouse import Warehouse
from warehouse.hashing import content_id

_SIDE_PX = 160
_BEFORE_AFTER = """
SELECT p.text AS prompt, p.prompt_id, min_by(c.media_id, c.seed) AS before, min_by(d.media_id, c.seed) AS after
FROM candidates c JOIN candidates d ON d.prompt_id = c.prompt_id AND d.seed = c.seed
JOIN prompts p ON p.prompt_id = c.prompt_id
WHERE c.generator_id = ? AND d.generator_id = ? AND (? = '' OR p.source = ?) GROUP BY ALL
"""
_REAL = """
SELECT c.media_id, any_value(p.text) AS prompt, any_value(c.source) AS source, any_value(m.kind) AS kind
FROM candidates c JOIN prompts p USING (prompt_id) JOIN media m USING (media_id) GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class BeforeAfter:
    """One prompt, one noise, two generators."""

    prompt: str
    before: Picture
    after: Picture


@dataclass(frozen=True)
class Medium:
    """A picture or clip with its prompt and where it came from."""

    prompt: str
    source: str
    picture: Picture


def before_after(warehouse: Warehouse, before: str, after: str, source: str, limit: int = 24) -> list[BeforeAfter]:
    """Prompts chosen by hash; of each the candidate with the smallest seed that both generators have."""
    rows = warehouse.rows(_BEFORE_AFTER, [before, after, source, source])
    rows.sort(key=lambda row: content_id("report gallery", row["prompt_id"]))
    shown = [(row["prompt"], stored(warehouse, row["before"], _SIDE_PX), stored(warehouse, row["after"], _SIDE_PX))
             for row in rows[:limit]]
    return [BeforeAfter(prompt, first, second) for prompt, first, second in shown if first and second]


def real_media(warehouse: Warehouse, limit: int = 12) -> list[Medium]:
    """Pictures and clips whose bytes are here, clips and pictures in turn."""
    rows = warehouse.rows(_REAL)
    kinds = [[row for row in rows if row["kind"] == kind] for kind in ("image", "video")]
    turns = [group[index] for index in range(max(map(len, kinds))) for group in kinds if index < len(group)]
    shown = [(row, stored(warehouse, row["media_id"])) for row in turns[:limit]]
    return [Medium(row["prompt"], row["source"], picture) for row, picture in shown if picture is not None]
