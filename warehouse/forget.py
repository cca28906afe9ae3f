"""Forgetting: what depends on an annotator, a picture or clip, a prompt or a source, and keeping it out from now on.

`withdraw` writes the audit row that every later build obeys and takes a forgotten rater's votes out of the count; rows
and bytes stay where they are, so that old versions can still be explained. Taking them away is erase.py. The audit row
names its subject by a hash only, because it must outlive an erasure and still recognise what was erased.
Left out on purpose: merging votes again and building the version without it, which spans rooms (pipelines/).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from warehouse.catalog import Warehouse
from warehouse.errors import InvalidInputError, NotFoundError
from warehouse.hashing import Column, canonical_json, content_id, content_id_sql
from warehouse.records import Row
from warehouse.views import using

FORGETTABLE = ("annotator", "media", "prompt", "source")
ACTIONS = ("forget", "erase")
# For each kind: the votes that depend on it, and the pairs that show it; $1 is its id.
_PAIRS = {
    "media": "SELECT pair_id FROM pairs WHERE candidate_a IN (SELECT candidate_id FROM candidates WHERE media_id = $1)"
    " OR candidate_b IN (SELECT candidate_id FROM candidates WHERE media_id = $1)"
    " OR prompt_id IN (SELECT prompt_id FROM prompts WHERE condition_media_id = $1)",
    "prompt": "SELECT pair_id FROM pairs WHERE prompt_id = $1 OR prompt_b_id = $1",
    "source": "SELECT pair_id FROM pairs WHERE source = $1"
    " OR prompt_id IN (SELECT prompt_id FROM prompts WHERE source = $1)",
}
_SHOWN = {
    "media": "SELECT candidate_id FROM candidates WHERE media_id = $1",
    "prompt": "SELECT candidate_id FROM candidates WHERE prompt_id = $1",
    "source": "SELECT candidate_id FROM candidates WHERE source = $1"
    " OR prompt_id IN (SELECT prompt_id FROM prompts WHERE source = $1)",
}
_BY_RATER = """
SELECT name, version, sample_key, split, shard FROM samples s WHERE (EXISTS
    (SELECT 1 FROM votes v WHERE v.pair_id = s.pair_id AND v.dimension = s.dimension AND v.annotator_id = $1)
    AND preference_id NOT IN (SELECT preference_id FROM preferences WHERE consensus_id IN
        (SELECT consensus_id FROM consensus_runs WHERE NOT contains(raters_json, $1))))
OR rationale_id IN (SELECT rationale_id FROM rationales WHERE author_id = $1)
"""
_BY_PAIR = """
SELECT name, version, sample_key, split, shard FROM samples WHERE pair_id IN ({pairs})
UNION
SELECT name, version, sample_key, split, shard FROM (
    SELECT *, unnest(from_json(reference_ids_json, '["VARCHAR"]')) AS reference FROM samples
    WHERE reference_ids_json <> '[]') WHERE reference IN ({shown})
"""
_THERE = {
    "annotator": "SELECT 1 FROM annotators WHERE annotator_id = $1",
    "media": "SELECT 1 FROM media WHERE media_id = $1",
    "prompt": "SELECT 1 FROM prompts WHERE prompt_id = $1",
    "source": "SELECT 1 FROM prompts WHERE source = $1 UNION SELECT 1 FROM pairs WHERE source = $1",
}
_MODELS = """
SELECT model_id, any_value(kind) AS kind, any_value(model) AS name, min(steps) AS steps FROM version_models
WHERE name || '@' || version IN (SELECT unnest(?)) GROUP BY model_id ORDER BY steps, model_id
"""


def subject(kind: str, record_id: str) -> str:
    """How an audit row names what was forgotten."""
    return f"{kind}:{content_id('forgotten', kind, record_id)}"


def subject_sql(kind: str, column: Column) -> str:
    """SQL for `subject` of a column's value."""
    return f"concat('{kind}:', {content_id_sql('forgotten', kind, column)})"


def withdrawals(rows: Callable[[str], list[Row]]) -> frozenset[str]:
    """Subjects of all that was forgotten; `rows` asks a query in which tables are written `@table alias`."""
    return frozenset(row["subject"] for row in rows("SELECT subject FROM @audit w WHERE action IN ('forget', 'erase')"))


def affected_sql(kind: str) -> str:
    """Query of the samples that depend on a record: name, version, sample_key, split, shard; $1 is its id."""
    if kind not in FORGETTABLE:
        raise InvalidInputError(f"a {kind} cannot be forgotten", hint=f"one of {', '.join(FORGETTABLE)}")
    return _BY_RATER if kind == "annotator" else _BY_PAIR.format(pairs=pairs_sql(kind), shown=shown_sql(kind))


def pairs_sql(kind: str) -> str:
    """Query of the pairs that show a media, prompt or source; $1 is its id."""
    return _PAIRS[kind]


def shown_sql(kind: str) -> str:
    """Query of the candidates that show a media, prompt or source; $1 is its id."""
    return _SHOWN[kind]


def dependants(warehouse: Warehouse, kind: str, record_id: str) -> dict[str, Any]:
    """{kind, id, samples, versions, models, exports}: what was made with a record.

    A version is {name, version, state, hash, samples (that depend), rows (all)}; a model {model_id, kind, name, steps}
    (0: trained on such a version itself); an export {export_id, version, path}. Raises NotFoundError.
    """
    samples = affected_sql(kind)
    if not warehouse.rows(_THERE[kind], [record_id]):
        raise NotFoundError(f"no {kind} {record_id!r}", where=warehouse.url)
    versions = warehouse.rows(
        f"SELECT d.name, d.version, d.state, d.hash, count(*) AS samples FROM ({samples}) s"
        " JOIN dataset_versions d ON d.name = s.name AND d.version = s.version GROUP BY ALL ORDER BY ALL",
        [record_id],
    )
    names = [f"{row['name']}@{row['version']}" for row in versions]
    exports = warehouse.rows("SELECT subject, detail_json FROM audit WHERE action = 'export' ORDER BY created_at")
    return {
        "kind": kind,
        "id": record_id,
        "samples": sum(row["samples"] for row in versions),
        "versions": versions,
        "models": warehouse.rows(using(_MODELS), [names]),
        "exports": [json.loads(row["detail_json"]) for row in exports if row["subject"] in names],
    }


def withdraw(warehouse: Warehouse, kind: str, record_id: str) -> dict[str, Any]:
    """Keep a record out of every version built from now on; returns what depends on it, and `changed`.

    A rater's votes no longer count and are marked in vote_revisions. A second call changes nothing.
    """
    impact = dependants(warehouse, kind, record_id)
    detail = {name: impact[name] for name in ("kind", "id", "samples")}
    detail |= {"versions": [f"{row['name']}@{row['version']}" for row in impact["versions"]]}
    detail |= {"models": [row["model_id"] for row in impact["models"]]}
    with warehouse.commit(f"forget {kind}"):
        if kind == "annotator":
            _silence(warehouse, record_id)
        new = write_audit(warehouse, "forget", subject(kind, record_id), detail)
    return impact | {"changed": bool(new)}


def write_audit(warehouse: Warehouse, action: str, about: str, detail: dict[str, Any], once: bool = True) -> int:
    """An audit row, `once` for each action and subject; returns 1 where it is new."""
    row = {
        "audit_id": content_id("audit", action, about, "" if once else canonical_json(detail)),
        "action": action,
        "subject": about,
        "detail_json": canonical_json(detail),
        "created_at": _now(),
    }
    return warehouse.merge("audit", [row])


def _silence(warehouse: Warehouse, annotator_id: str) -> None:
    mine = "annotator_id = ? AND NOT coalesce(deleted, false)"
    votes = warehouse.rows(f"SELECT vote_id, label FROM votes WHERE {mine}", [annotator_id])
    now = _now()
    revisions = [
        {
            "revision_id": content_id("revision", vote["vote_id"], "forgotten"),
            "vote_id": vote["vote_id"],
            "action": "deleted",
            "label": vote["label"],
            "happened_at": now,
        }
        for vote in votes
    ]
    warehouse.rows("UPDATE votes SET deleted = true WHERE annotator_id = ?", [annotator_id])
    warehouse.merge("vote_revisions", revisions)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
