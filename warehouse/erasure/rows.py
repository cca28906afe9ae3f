"""Which rows go with an erased record, table by table; all of it inside the caller's commit.

With a rater go the votes, their revisions, typed rationales, events, and what was merged from the votes. With a
picture, a prompt or a source go the candidates that show it, and all that was said of them; with a source also the
raters that came with it and what its refused rows said. Texts that name a rater elsewhere (receipts, consensus runs)
lose the name.
"""

from __future__ import annotations

from warehouse.catalog import Warehouse
from warehouse.forget import pairs_sql, shown_sql

_GONE = ("pairs", "candidates", "prompts", "media", "votes", "rationales", "annotators")
_PROMPTS = {"prompt": "SELECT $1", "source": "SELECT prompt_id FROM prompts WHERE source = $1"}
_EMPTY = "SELECT ''::VARCHAR WHERE false"
_MEDIA = """
SELECT media_id FROM candidates WHERE candidate_id IN (FROM gone_candidates) AND media_id IS NOT NULL
EXCEPT SELECT media_id FROM candidates WHERE candidate_id NOT IN (FROM gone_candidates)
EXCEPT SELECT condition_media_id FROM prompts WHERE prompt_id NOT IN (FROM gone_prompts)
"""
_CONDITIONS = """
UNION (SELECT condition_media_id FROM prompts WHERE prompt_id IN (FROM gone_prompts) AND condition_media_id IS NOT NULL
EXCEPT SELECT media_id FROM candidates WHERE candidate_id NOT IN (FROM gone_candidates)
EXCEPT SELECT condition_media_id FROM prompts WHERE prompt_id NOT IN (FROM gone_prompts))
"""
# Raters of an import who are heard nowhere else; people with an account stay.
_RATERS = """
SELECT annotator_id FROM annotators WHERE kind = 'imported' AND annotator_id IN (
    SELECT annotator_id FROM votes WHERE vote_id IN (FROM gone_votes)
    EXCEPT SELECT annotator_id FROM votes WHERE vote_id NOT IN (FROM gone_votes)
    EXCEPT SELECT author_id FROM rationales WHERE rationale_id NOT IN (FROM gone_rationales))
"""
# (table, condition) in the order in which they go.
_BY_PAIR = (
    ("vote_revisions", "vote_id IN (FROM gone_votes)"),
    ("votes", "vote_id IN (FROM gone_votes)"),
    ("rationales", "rationale_id IN (FROM gone_rationales)"),
    ("preferences", "pair_id IN (FROM gone_pairs)"),
    ("annotation_tasks", "pair_id IN (FROM gone_pairs)"),
    ("gold_items", "pair_id IN (FROM gone_pairs)"),
    ("embeddings", "candidate_id IN (FROM gone_candidates)"),
    ("rewards", "candidate_id IN (FROM gone_candidates) OR reference_id IN (FROM gone_candidates)"),
    ("reference_ranks", "candidate_id IN (FROM gone_candidates)"),
    ("pairs", "pair_id IN (FROM gone_pairs)"),
    ("candidates", "candidate_id IN (FROM gone_candidates)"),
    ("prompts", "prompt_id IN (FROM gone_prompts)"),
    ("media", "media_id IN (FROM gone_media)"),
)
_BY_SOURCE = (
    *_BY_PAIR,
    ("annotator_events", "annotator_id IN (FROM gone_annotators)"),
    ("annotators", "annotator_id IN (FROM gone_annotators)"),
    ("rejects", "source = $1"),
)
_BY_RATER = (
    (
        "preferences",
        "consensus_id IN (SELECT consensus_id FROM consensus_runs WHERE contains(raters_json, $1)) AND EXISTS (SELECT 1"
        " FROM votes v WHERE v.vote_id IN (FROM gone_votes) AND v.pair_id = preferences.pair_id"
        " AND v.dimension = preferences.dimension)",
    ),
    ("vote_revisions", "vote_id IN (FROM gone_votes)"),
    ("votes", "vote_id IN (FROM gone_votes)"),
    ("rationales", "rationale_id IN (FROM gone_rationales)"),
    ("annotator_events", "annotator_id = $1"),
    ("annotators", "annotator_id = $1"),
)
# Texts in which a rater may be named.
_NAMING = (
    ("consensus_runs", "raters_json"),
    ("runs", "outputs_json"),
    ("runs", "config_json"),
    ("rejects", "detail"),
    ("events", "payload_json"),
)


def mark_gone(warehouse: Warehouse, kind: str, record_id: str) -> None:
    """Temporary tables gone_* with the ids that go with a record."""
    if kind == "annotator":
        chosen = {
            "votes": "SELECT vote_id FROM votes WHERE annotator_id = $1",
            "rationales": "SELECT rationale_id FROM rationales WHERE author_id = $1",
            "annotators": "SELECT $1",
        }
    else:
        chosen = {
            "pairs": pairs_sql(kind),
            "candidates": shown_sql(kind),
            "prompts": _PROMPTS.get(kind, "SELECT prompt_id FROM prompts WHERE condition_media_id = $1"),
            "media": _MEDIA + _CONDITIONS if kind != "media" else "SELECT $1",
            "votes": "SELECT vote_id FROM votes WHERE pair_id IN (FROM gone_pairs)",
            "rationales": "SELECT rationale_id FROM rationales WHERE pair_id IN (FROM gone_pairs)",
            "annotators": _RATERS if kind == "source" else _EMPTY,
        }
    for name in _GONE:
        sql = chosen.get(name, _EMPTY)
        warehouse.rows(f"CREATE OR REPLACE TEMP TABLE gone_{name} AS {sql}", [record_id] if "$1" in sql else [])


def gone(warehouse: Warehouse, table: str) -> list[str]:
    """Ids of the media whose bytes go, or of the annotators whose keys go."""
    return [str(value) for row in warehouse.rows(f"FROM gone_{table} ORDER BY 1") for value in row.values()]


def delete_rows(warehouse: Warehouse, kind: str, record_id: str) -> dict[str, int]:
    """Delete what mark_gone marked; returns how many rows of each table went."""
    deleted: dict[str, int] = {}
    for table, condition in {"annotator": _BY_RATER, "source": _BY_SOURCE}.get(kind, _BY_PAIR):
        params = [record_id] if "$1" in condition else []
        deleted[table] = int(warehouse.rows(f"DELETE FROM {table} WHERE {condition}", params)[0]["Count"])
    if kind == "annotator":
        for table, column in _NAMING:
            warehouse.rows(
                f"UPDATE {table} SET {column} = replace({column}, $1, 'erased') WHERE contains({column}, $1)",
                [record_id],
            )
    return {table: count for table, count in deleted.items() if count}
