"""What changed between two versions, and the history of a dataset.

Samples are the same where their key is: the same pair, dimension and instruction version. A sample is changed where
its content hash is another, and the changed fields say how. The database compares what the versions store, so that
millions of samples take a second; what they are about is looked up for the rows that are shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from warehouse.catalog import Warehouse
from warehouse.datasets.versions import find_version, list_versions
from warehouse.errors import InvalidInputError, NotFoundError
from warehouse.hashing import literal
from warehouse.records import Row
from warehouse.scratch import Scratch

_OF_SAMPLE = ("split", "p_a", "instruction_id", "rationale_id", "reference_ids_json")
_OF_PREFERENCE = ("p_tie", "n_votes", "n_a", "n_b", "n_tie", "n_both_bad", "split_population")
FIELDS = _OF_SAMPLE + _OF_PREFERENCE
# Only what the versions store is compared; what the rows are about is looked up for those that are shown.
_DIFFERING = """
WITH a AS (SELECT sample_key, content_sha256 FROM samples WHERE {a}),
b AS (SELECT sample_key, content_sha256 FROM samples WHERE {b})
SELECT coalesce(a.sample_key, b.sample_key) AS sample_key,
    CASE WHEN a.sample_key IS NULL THEN 'added' WHEN b.sample_key IS NULL THEN 'removed' ELSE 'changed' END AS how
FROM a FULL JOIN b USING (sample_key) WHERE a.content_sha256 IS DISTINCT FROM b.content_sha256
"""
_STORED = f"""
SELECT sample_key, {{a}} AS old, preference_id, {", ".join(_OF_SAMPLE)}
FROM samples s SEMI JOIN (SELECT sample_key FROM differing WHERE how = 'changed') d USING (sample_key)
WHERE ({{a}}) OR ({{b}})
"""
_MERGED = f"""
SELECT s.*, {", ".join("f." + f for f in _OF_PREFERENCE)} FROM stored s LEFT JOIN (
    SELECT * FROM preferences SEMI JOIN stored USING (preference_id) WHERE {{merging}}) f
    USING (preference_id)
"""
_SHOWN = "sample_key, split, pair_id, dimension, task, p_a, preference_id"


def _of(version: Row) -> str:
    """SQL that is true for the samples of a version. Texts in these queries are literals: where a value is bound from
    Python, DuckDB imports pandas to look at it, a quarter of a second."""
    return f"name = {literal(version['name'])} AND version = {int(version['version'])}"


class _Compared:
    """Two versions side by side: tables `differing` (sample_key, how) and, where samples changed, `merged`."""

    def __init__(self, scratch: Scratch, a: Row, b: Row) -> None:
        self._scratch = scratch
        self._both = {"a": _of(a), "b": _of(b)}
        scratch.table("differing", _DIFFERING.format(**self._both))
        found = dict(scratch.run("SELECT how, count(*) FROM differing GROUP BY how"))
        size = scratch.run(f"SELECT count(*) FROM samples WHERE {_of(b)}")
        self.counts = {how: int(found.get(how, 0)) for how in ("added", "removed", "changed")}
        self.counts["unchanged"] = int(size[0][0]) - self.counts["added"] - self.counts["changed"]

    def keys(self, how: str, limit: int) -> list[str]:
        """The first samples that differ in this way."""
        sql = f"SELECT sample_key FROM differing WHERE how = '{how}' ORDER BY sample_key LIMIT {limit}"
        return [key for (key,) in self._scratch.run(sql)]

    def fields(self, keys: list[str], merging: str) -> tuple[dict[str, int], dict[str, dict[str, list[str | None]]]]:
        """Changed samples by field, of all; and of these keys each changed field's [old, new].

        `merging` is true for the preferences of both versions.
        """
        if not self.counts["changed"]:
            return {}, {}
        self._scratch.table("stored", _STORED.format(**self._both))
        self._scratch.table("merged", _MERGED.format(merging=merging))
        pairs = ", ".join(f"[o.{name}::VARCHAR, n.{name}::VARCHAR]" for name in FIELDS)
        sides = "merged o JOIN merged n ON o.sample_key = n.sample_key AND o.old AND NOT n.old"
        differs = ", ".join(f"count(*) FILTER (o.{name} IS DISTINCT FROM n.{name})" for name in FIELDS)
        total = dict(zip(FIELDS, self._scratch.run(f"SELECT {differs} FROM {sides}")[0], strict=True))
        listed = ", ".join(map(literal, keys)) or "NULL"
        sql = f"SELECT o.sample_key, {pairs} FROM {sides} WHERE o.sample_key IN ({listed})"
        rows = {
            str(key): {name: pair for name, pair in zip(FIELDS, values, strict=True) if pair[0] != pair[1]}
            for key, *values in self._scratch.run(sql)
        }
        return {name: int(n) for name, n in total.items() if n}, rows


def _merging(warehouse: Warehouse, *versions: Row) -> str:
    """SQL that is true for the preferences of these versions: what other consensus runs merged need not be read."""
    recipes = ", ".join(literal(version["recipe_id"]) for version in versions)
    bodies = warehouse.rows(f"SELECT body_json FROM recipes WHERE recipe_id IN ({recipes})")
    runs = sorted({run for row in bodies for run in json.loads(row["body_json"])["consensus_ids"]})
    return f"consensus_id IN ({', '.join(map(literal, runs)) or 'NULL'})"


def _some(warehouse: Warehouse, table: str, columns: str, key: str, ids: Iterable[str | None]) -> dict[str, Row]:
    """Rows of a table by their ids, which stand in the query: the scan passes over all other rows' columns."""
    listed = ", ".join(sorted({literal(name) for name in ids if name}))
    rows = warehouse.rows(f"SELECT {key}, {columns} FROM {table} WHERE {key} IN ({listed})") if listed else []
    return {row[key]: row for row in rows}


def _samples(warehouse: Warehouse, version: Row, keys: list[str]) -> list[Row]:
    if not keys:
        return []
    listed = ", ".join(map(literal, keys))
    return warehouse.rows(
        f"SELECT {_SHOWN} FROM samples WHERE {_of(version)} AND sample_key IN ({listed}) ORDER BY sample_key"
    )


def _describe(warehouse: Warehouse, rows: list[Row], merging: str) -> None:
    """Add to samples what is shown of them: votes, prompt, generators and media."""
    voted = (row["preference_id"] for row in rows)
    merged = _some(warehouse, f"(FROM preferences WHERE {merging})", "n_votes", "preference_id", voted)
    asked = (row["pair_id"] for row in rows)
    pairs = _some(warehouse, "pairs", "prompt_id, candidate_a, candidate_b", "pair_id", asked)
    prompts = _some(warehouse, "prompts", "text", "prompt_id", (pair["prompt_id"] for pair in pairs.values()))
    shown = [pair[side] for pair in pairs.values() for side in ("candidate_a", "candidate_b")]
    candidates = _some(warehouse, "candidates", "media_id, generator_id", "candidate_id", shown)
    makers = _some(warehouse, "generators", "name", "generator_id", (c["generator_id"] for c in candidates.values()))
    for row in rows:
        pair = pairs.get(row["pair_id"], {})
        row |= {"n_votes": merged.get(row.pop("preference_id"), {}).get("n_votes")}
        row["prompt"] = prompts.get(pair.get("prompt_id", ""), {}).get("text")
        for side in ("a", "b"):
            candidate = candidates.get(pair.get(f"candidate_{side}", ""), {})
            row[f"generator_name_{side}"] = makers.get(candidate.get("generator_id", ""), {}).get("name")
            row[f"media_{side}"] = candidate.get("media_id")


def diff(warehouse: Warehouse, first: str, second: str, limit: int = 20) -> dict[str, Any]:
    """From `first` to `second`: {a, b, counts, fields, added, removed, changed}, at most `limit` rows of each.

    `counts` and `fields` (changed samples by field) are of all samples. A changed row has `fields`: {name: [old, new]}
    as texts, null where there was none. Raises NotFoundError.
    """
    if limit < 0:
        raise InvalidInputError(f"limit must be at least 0, got {limit}")
    a, b = find_version(warehouse, first), find_version(warehouse, second)
    merging = _merging(warehouse, a, b)
    with warehouse.scratch() as scratch:
        compared = _Compared(scratch, a, b)
        keys = {how: compared.keys(how, limit) for how in ("added", "removed", "changed")}
        fields, changes = compared.fields(keys["changed"], merging)
    later = _samples(warehouse, b, [*keys["added"], *keys["changed"]])
    removed = _samples(warehouse, a, keys["removed"])
    _describe(warehouse, [*later, *removed], merging)
    return {
        "a": f"{a['name']}@{a['version']}",
        "b": f"{b['name']}@{b['version']}",
        "counts": compared.counts,
        "fields": fields,
        "added": [row for row in later if row["sample_key"] not in changes],
        "removed": removed,
        "changed": [row | {"fields": changes[row["sample_key"]]} for row in later if row["sample_key"] in changes],
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
    with warehouse.scratch() as scratch:
        counts = _Compared(scratch, parent, row).counts
    return row | {"changes": counts, "recipe": _recipe_changes(warehouse, parent["recipe_id"], row["recipe_id"])}
