"""What the splits of a version share: prompts, prompts in nearly the same words, and media, equal or look-alikes.

Prompts are near where their sets of words differ in at most one word, added, left out or replaced: each prompt is
listed under its set of words and under each set with one word left out, and prompts under the same entry are near.
Pictures are look-alikes where their difference hashes (dHash, Krawetz 2013: 64 bits, which of two neighbours in a 9 x 8
grey picture is brighter) differ in at most three bits; of a clip the first frame counts.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import Any

import numpy as np
from PIL import Image

from warehouse.catalog import Warehouse
from warehouse.datasets.versions import find_version
from warehouse.errors import MediaError, NotFoundError
from warehouse.media.decode import decode_frames
from warehouse.views import using

_BITS_APART = 3
_SHARED_PROMPTS = """
SELECT canonical, splits, samples FROM prompt_splits WHERE name = $1 AND version = $2 AND len(splits) > 1 ORDER BY 1
"""
_SHARED_MEDIA = """
SELECT media_id, splits, samples FROM media_splits WHERE name = $1 AND version = $2 AND len(splits) > 1
    AND media_id IS NOT NULL ORDER BY 1
"""
_NEAR_PROMPTS = """
WITH texts AS (
    SELECT DISTINCT s.split, p.canonical, list_sort(list_distinct(regexp_extract_all(p.canonical, '\\w+'))) AS words
    FROM samples s JOIN prompts p USING (prompt_id) WHERE s.name = $1 AND s.version = $2
),
entries AS (
    SELECT canonical, split, unnest(list_append(list_transform(words, lambda word: hash(list_filter(words,
        lambda other: other <> word))), hash(words))) AS entry FROM texts WHERE len(words) > 1
)
SELECT DISTINCT a.canonical AS first, b.canonical AS second, a.split AS first_split, b.split AS second_split
FROM entries a JOIN entries b USING (entry) WHERE a.split <> b.split AND a.canonical < b.canonical ORDER BY ALL
"""
_MEDIA = "SELECT media_id, splits FROM media_splits WHERE name = ? AND version = ? AND media_id IS NOT NULL ORDER BY 1"


def leakage(warehouse: Warehouse, reference: str, look_alikes: bool = False, limit: int = 20) -> dict[str, Any]:
    """{name, version, counts, prompts, near_prompts, media, look_alikes}: at most `limit` examples of each.

    `look_alikes` decodes every picture of the version; without it they are null. Raises NotFoundError.
    """
    row = find_version(warehouse, reference)
    place = [row["name"], row["version"]]
    found: dict[str, list[dict[str, Any]] | None] = {
        "prompts": warehouse.rows(using(_SHARED_PROMPTS), place),
        "near_prompts": warehouse.rows(_NEAR_PROMPTS, place),
        "media": warehouse.rows(using(_SHARED_MEDIA), place),
        "look_alikes": _look_alikes(warehouse, place) if look_alikes else None,
    }
    counts = {name: None if rows is None else len(rows) for name, rows in found.items()}
    examples = {name: None if rows is None else rows[:limit] for name, rows in found.items()}
    return {"name": row["name"], "version": row["version"], "counts": counts, **examples}


def difference_hash(data: bytes) -> int:
    """dHash of a picture, or of a clip's first frame; raises MediaError."""
    frames, _ = decode_frames(data, 1)
    grey = np.asarray(Image.fromarray(frames[0]).convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    return int("".join("1" if bit else "0" for bit in (grey[:, 1:] > grey[:, :-1]).ravel()), 2)


def _look_alikes(warehouse: Warehouse, place: list[Any]) -> list[dict[str, Any]]:
    """Pairs of different files in different splits whose difference hashes are near."""
    hashes: list[tuple[int, dict[str, Any]]] = []
    for row in warehouse.rows(using(_MEDIA), place):
        try:
            hashes.append((difference_hash(warehouse.media.get(row["media_id"])), row))
        except (MediaError, NotFoundError):
            # What cannot be read is for `verify` to tell.
            continue
    found = ((hashes[i][1], hashes[j][1]) for i, j in near_pairs([value for value, _ in hashes]))
    return [
        {"media_ids": [a["media_id"], b["media_id"]], "splits": sorted({*a["splits"], *b["splits"]})}
        for a, b in found
        if len({*a["splits"], *b["splits"]}) > 1
    ]


def near_pairs(hashes: list[int]) -> list[tuple[int, int]]:
    """Indices i < j of 64-bit hashes that differ in at most three bits, in order.

    Of four bands of 16 bits one must then be equal, so only hashes that share a band are compared.
    """
    bands: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, value in enumerate(hashes):
        for band in range(_BITS_APART + 1):
            bands[band, value >> 16 * band & 0xFFFF].append(index)
    pairs = {pair for members in bands.values() for pair in combinations(members, 2)}
    return sorted((i, j) for i, j in pairs if (hashes[i] ^ hashes[j]).bit_count() <= _BITS_APART)
