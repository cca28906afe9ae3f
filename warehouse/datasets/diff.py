"""What changed between two versions, and the history of a dataset.

Samples are the same where their key is: the same pair, dimension and instruction version. A sample is changed where
its content hash is another, and the changed fields say how. Rows come by pages of the key, so that versions of millions
of samples are compared by the database, and only what is asked for is brought here.
"""

from __future__ import annotations

import json
from typing import Any

from warehouse.catalog import Warehouse
from warehouse.datasets.versions import find_version, list_versions
from warehouse.errors import InvalidInputError, NotFoundError
from warehouse.records import Row
from warehouse.views import using

_OF_SAMPLE = ("split", "p_a", "instruction_id", "rationale_id", "reference_ids_json")
_OF_PREFERENCE = ("p_tie", "n_votes", "n_a", "n_b", "n_tie", "n_both_bad", "split_population")
FIELDS = _OF_SAMPLE + _OF_PREFERENCE
_BOTH = """
a AS (SELECT * FROM samples WHERE name = ? AND version = ?),
b AS (SELECT * FROM samples WHERE name = ? AND version = ?)
"""
_COUNTS = f"""
WITH {_BOTH}
SELECT count(*) FILTER (a.sample_key IS NULL) AS added, count(*) FILTER (b.sample_key IS NULL) AS removed,
    count(*) FILTER (a.content_sha256 <> b.content_sha256) AS changed,
    count(*) FILTER (a.content_sha256 = b.content_sha256) AS unchanged
FROM a FULL JOIN b USING (sample_key)
"""
_CHANGED = f"""
WITH {_BOTH},
changed AS (
    SELECT sample_key, {{pairs}}
    FROM a JOIN b USING (sample_key) LEFT JOIN preferences fa ON fa.preference_id = a.preference_id
    LEFT JOIN preferences fb ON fb.preference_id = b.preference_id WHERE a.content_sha256 <> b.content_sha256
)
"""
_ROWS = """
SELECT sample_key, split, pair_id, dimension, task, p_a, n_votes, prompt, generator_name_a, generator_name_b, media_a,
    media_b FROM dataset_samples WHERE name = ? AND version = ? AND sample_key IN (SELECT unnest(?)) ORDER BY sample_key
"""
_ONLY = """
SELECT sample_key FROM samples s WHERE name = ? AND version = ? AND NOT EXISTS
    (SELECT 1 FROM samples o WHERE o.name = ? AND o.version = ? AND o.sample_key = s.sample_key)
ORDER BY sample_key LIMIT ?
"""


def _changed_sql(select: str) -> str:
    pairs = [f"[a.{name}::VARCHAR, b.{name}::VARCHAR] AS {name}" for name in _OF_SAMPLE]
    pairs += [f"[fa.{name}::VARCHAR, fb.{name}::VARCHAR] AS {name}" for name in _OF_PREFERENCE]
    return _CHANGED.format(pairs=", ".join(pairs)) + select


def _field_counts(warehouse: Warehouse, both: list[Any]) -> dict[str, int]:
    differs = ", ".join(f"count(*) FILTER ({name}[1] IS DISTINCT FROM {name}[2]) AS {name}" for name in FIELDS)
    found = warehouse.rows(_changed_sql(f"SELECT {differs} FROM changed"), both)[0]
    return {name: int(n) for name, n in found.items() if n}


def _details(warehouse: Warehouse, row: Row, keys: list[str]) -> list[Row]:
    return warehouse.rows(using(_ROWS), [row["name"], row["version"], keys]) if keys else []


def _changed(warehouse: Warehouse, a: Row, b: Row, limit: int) -> list[dict[str, Any]]:
    both = [a["name"], a["version"], b["name"], b["version"]]
    found = warehouse.rows(_changed_sql("SELECT * FROM changed ORDER BY sample_key LIMIT ?"), [*both, limit])
    fields = {row["sample_key"]: {name: row[name] for name in FIELDS if row[name][0] != row[name][1]} for row in found}
    return [row | {"fields": fields[row["sample_key"]]} for row in _details(warehouse, b, list(fields))]


def diff(warehouse: Warehouse, first: str, second: str, limit: int = 20) -> dict[str, Any]:
    """From `first` to `second`: {a, b, counts, fields, added, removed, changed}, at most `limit` rows of each.

    `counts` and `fields` (changed samples by field) are of all samples. A changed row has `fields`: {name: [old, new]}
    as texts, null where there was none. Raises NotFoundError.
    """
    if limit < 0:
        raise InvalidInputError(f"limit must be at least 0, got {limit}")
    a, b = find_version(warehouse, first), find_version(warehouse, second)
    both = [a["name"], a["version"], b["name"], b["version"]]
    added = warehouse.rows(_ONLY, [*both[2:], *both[:2], limit])
    removed = warehouse.rows(_ONLY, [*both, limit])
    counts = warehouse.rows(_COUNTS, both)[0]
    return {
        "a": f"{a['name']}@{a['version']}",
        "b": f"{b['name']}@{b['version']}",
        "counts": counts,
        "fields": _field_counts(warehouse, both) if counts["changed"] else {},
        "added": _details(warehouse, b, [row["sample_key"] for row in added]),
        "removed": _details(warehouse, a, [row["sample_key"] for row in removed]),
        "changed": _changed(warehouse, a, b, limit) if counts["changed"] else [],
    }


def _recipe_changes(warehouse: Warehouse, old: str, new: str) -> dict[str, list[Any]]:
    """{key: [old, new]} of two recipes."""
    rows = warehouse.rows("SELECT recipe_id, body_json FROM recipes WHERE recipe_id IN (?, ?)", [old, new])
    bodies = {row["recipe_id"]: json.loads(row["body_json"]) for row in rows}
    before, after = bodies.get(old, {}), bodies.get(new, {})
    keys = sorted(before.keys() | after.keys())
    return {key: [before.get(key), after.get(key)] for key in keys if before.get(key) != after.get(key)}


def log(warehouse: Warehouse, name: str) -> list[dict[str, Any]]:
    """Versions of a dataset, newest first: what `list_versions` says, and what changed since its parent.

    `changes` counts samples {added, removed, changed, unchanged} and `recipe` says {key: [old, new]}; both are null
    for the first version. Raises NotFoundError.
    """
    versions = {row["version"]: row for row in list_versions(warehouse) if row["name"] == name}
    if not versions:
        raise NotFoundError(f"no dataset {name!r}", hint="rewarddance dataset list shows what there is")
    return [_since_parent(warehouse, row, versions.get(row["parent"])) for _, row in sorted(versions.items())][::-1]


def _since_parent(warehouse: Warehouse, row: dict[str, Any], parent: dict[str, Any] | None) -> dict[str, Any]:
    if parent is None:
        return row | {"changes": None, "recipe": None}
    counts = warehouse.rows(_COUNTS, [parent["name"], parent["version"], row["name"], row["version"]])[0]
    return row | {"changes": counts, "recipe": _recipe_changes(warehouse, parent["recipe_id"], row["recipe_id"])}
