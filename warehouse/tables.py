"""The key of every table, and which tables may change a row that is already there.

DuckLake has neither PRIMARY KEY nor UNIQUE, so writing is MERGE on these keys (catalog.py). Columns that say when or
by which run a row was written never enter a digest: the same rows are the same rows whenever they were made.
"""

from __future__ import annotations

KEYS: dict[str, tuple[str, ...]] = {
    "runs": ("run_id",),
    "jobs": ("job_id",),
    "rejects": ("reject_id",),
    "watermarks": ("name",),
    "events": ("event_id",),
    "audit": ("audit_id",),
    "licences": ("licence_id",),
    "prompts": ("prompt_id",),
    "media": ("media_id",),
    "generators": ("generator_id",),
    "candidates": ("candidate_id",),
    "pairs": ("pair_id",),
    "dimensions": ("dimension_id",),
    "instructions": ("instruction_id",),
    "campaigns": ("campaign_id",),
    "label_configs": ("label_config_id",),
    "annotators": ("annotator_id",),
    "annotation_tasks": ("task_id",),
    "gold_items": ("pair_id", "dimension"),
    "votes": ("vote_id",),
    "vote_revisions": ("revision_id",),
    "annotator_events": ("event_id",),
    "rationales": ("rationale_id",),
    "consensus_runs": ("consensus_id",),
    "preferences": ("preference_id",),
    "recipes": ("recipe_id",),
    "dataset_versions": ("name", "version"),
    "tags": ("name", "tag"),
    "tag_log": ("log_id",),
    "shards": ("name", "version", "shard"),
    "samples": ("name", "version", "sample_key"),
    "embeddings": ("embedding_id",),
    "models": ("model_id",),
    "promotions": ("promotion_id",),
    "evaluations": ("evaluation_id",),
    "attack_results": ("attack_id",),
    "reference_ranks": ("rank_id",),
    "rewards": ("reward_id",),
    "metrics": ("run_key", "step", "name"),
}
MUTABLE = frozenset({"runs", "jobs", "watermarks", "annotation_tasks", "votes", "tags", "dataset_versions", "models"})
VOLATILE_COLUMNS = frozenset(
    {
        "run_id",
        "created_at",
        "updated_at",
        "started_at",
        "finished_at",
        "applied_at",
        "happened_at",
        "seconds",
        "snapshot_id",
    }
)
