"""`python -m benchmarks._reader URL LOG`: reads for ever; LOG gets `ok` for each reading, or what was wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks._writer import PROMPTS
from warehouse import Warehouse, open_warehouse

# One statement is one snapshot: every batch that shows is whole, and shows once.
_BATCHES = """
SELECT m.media_id, count(DISTINCT p.prompt_id) AS prompts, count(*) AS rows FROM media m
LEFT JOIN prompts p ON regexp_replace(p.prompt_id, '-[0-9]+$', '') = m.media_id GROUP BY ALL
"""
_ORPHANS = """
SELECT count(*) AS n FROM prompts p
WHERE NOT EXISTS (SELECT 1 FROM media m WHERE m.media_id = regexp_replace(p.prompt_id, '-[0-9]+$', ''))
"""


def batches(warehouse: Warehouse) -> tuple[set[str], int, int]:
    """Batches that are there, how many of them are partial, and how many have rows twice."""
    rows = warehouse.rows(_BATCHES)
    orphans = warehouse.rows(_ORPHANS)[0]["n"]
    partial = sum(row["prompts"] != PROMPTS for row in rows) + orphans
    return {row["media_id"] for row in rows}, partial, sum(row["rows"] > PROMPTS for row in rows)


def main(url: str, log: Path) -> None:
    """Never returns but by an error or a signal."""
    with log.open("a", buffering=1) as file, open_warehouse(url) as warehouse:
        while True:
            rows = warehouse.rows(_BATCHES)
            wrong = [row["media_id"] for row in rows if row["prompts"] != PROMPTS or row["rows"] != PROMPTS]
            file.write(f"wrong {wrong[:3]}\n" if wrong else "ok\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
