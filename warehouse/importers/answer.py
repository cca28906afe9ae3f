"""What every import command answers: the same counts, all keys always there."""

from __future__ import annotations

from typing import Any

from warehouse.stage import Receipt

ADDED = ("prompts", "candidates", "pairs", "ties", "votes")


def import_answer(receipt: Receipt) -> dict[str, Any]:
    """Counts of one import; `prompts` to `votes` are what THIS call added, so they are 0 where it changed nothing.

    read = duplicates + rejects + already_there + rows that brought something new, where every reject is a whole row.
    """
    counts = receipt.counts
    read, duplicates, rejects = counts.get("read", 0), counts.get("duplicates", 0), sum(receipt.rejected.values())
    added = {key: counts.get(key, 0) if receipt.changed else 0 for key in ADDED}
    # A stored receipt tells of the first time: what was new then is there now.
    used = counts.get("rows_used", read - duplicates - rejects)
    there = counts.get("already_there", 0) if receipt.changed else used
    return {
        "read": read,
        "duplicates": duplicates,
        **added,
        "rejects": rejects,
        "rejects_by_reason": receipt.rejected,
        "already_there": there,
        "media_absent": counts.get("media_absent", 0),
        "changed": receipt.changed,
    }
