-- The first schema. Ids are content hashes (hex); *_json columns hold canonical JSON text; timestamps are UTC.
-- DuckLake has no primary keys: the key of each table stands in warehouse/tables.py and writing is MERGE on it.
CREATE TABLE migrations (number INTEGER, name VARCHAR, applied_at TIMESTAMP);
CREATE TABLE runs (run_id VARCHAR, stage VARCHAR, config_hash VARCHAR, input_digest VARCHAR, config_json VARCHAR, inputs_json VARCHAR, outputs_json VARCHAR, counts_json VARCHAR, rejected_json VARCHAR, seconds DOUBLE, code_version VARCHAR, snapshot_id BIGINT, state VARCHAR, started_at TIMESTAMP, finished_at TIMESTAMP);
CREATE TABLE jobs (job_id VARCHAR, run_id VARCHAR, launcher VARCHAR, command_json VARCHAR, handle VARCHAR, state VARCHAR, exit_code INTEGER, started_at TIMESTAMP, finished_at TIMESTAMP);
CREATE TABLE rejects (reject_id VARCHAR, stage VARCHAR, source VARCHAR, location VARCHAR, reason VARCHAR, detail VARCHAR, run_id VARCHAR, created_at TIMESTAMP);
CREATE TABLE watermarks (name VARCHAR, value VARCHAR, run_id VARCHAR, updated_at TIMESTAMP);
CREATE TABLE events (event_id VARCHAR, kind VARCHAR, payload_json VARCHAR, run_id VARCHAR, created_at TIMESTAMP);
CREATE TABLE audit (audit_id VARCHAR, action VARCHAR, subject VARCHAR, detail_json VARCHAR, run_id VARCHAR, created_at TIMESTAMP);

CREATE TABLE licences (licence_id VARCHAR, name VARCHAR, url VARCHAR, non_commercial BOOLEAN, run_id VARCHAR);
CREATE TABLE prompts (prompt_id VARCHAR, text VARCHAR, canonical VARCHAR, task VARCHAR, media_kind VARCHAR, source VARCHAR, source_item VARCHAR, domain VARCHAR, tags_json VARCHAR, condition_media_id VARCHAR, licence_id VARCHAR, run_id VARCHAR);
CREATE TABLE media (media_id VARCHAR, kind VARCHAR, format VARCHAR, size_bytes BIGINT, width_px INTEGER, height_px INTEGER, frames INTEGER, fps DOUBLE, duration_s DOUBLE, uri VARCHAR, source VARCHAR, licence_id VARCHAR, run_id VARCHAR);
CREATE TABLE generators (generator_id VARCHAR, name VARCHAR, kind VARCHAR, revision VARCHAR, params_json VARCHAR, parent_id VARCHAR, run_id VARCHAR);
CREATE TABLE candidates (candidate_id VARCHAR, prompt_id VARCHAR, generator_id VARCHAR, media_id VARCHAR, seed BIGINT, params_json VARCHAR, task VARCHAR, source VARCHAR, source_item VARCHAR, run_id VARCHAR);
CREATE TABLE pairs (pair_id VARCHAR, prompt_id VARCHAR, prompt_b_id VARCHAR, candidate_a VARCHAR, candidate_b VARCHAR, task VARCHAR, strategy VARCHAR, source VARCHAR, run_id VARCHAR);

CREATE TABLE dimensions (dimension_id VARCHAR, dimension VARCHAR, task VARCHAR, version INTEGER, title VARCHAR, criteria VARCHAR, run_id VARCHAR);
CREATE TABLE instructions (instruction_id VARCHAR, task VARCHAR, dimension VARCHAR, version INTEGER, form VARCHAR, template VARCHAR, run_id VARCHAR);
CREATE TABLE campaigns (campaign_id VARCHAR, name VARCHAR, task VARCHAR, dimensions_json VARCHAR, guideline_version INTEGER, overlap INTEGER, backend VARCHAR, config_json VARCHAR, run_id VARCHAR, created_at TIMESTAMP);
CREATE TABLE label_configs (label_config_id VARCHAR, campaign_id VARCHAR, version INTEGER, body VARCHAR, run_id VARCHAR);
CREATE TABLE annotators (annotator_id VARCHAR, kind VARCHAR, pseudonym VARCHAR, attributes_json VARCHAR, run_id VARCHAR);
CREATE TABLE annotation_tasks (task_id VARCHAR, campaign_id VARCHAR, pair_id VARCHAR, item_kind VARCHAR, left_side VARCHAR, replica INTEGER, gold BOOLEAN, repeat_of VARCHAR, backend_ref VARCHAR, label_config_id VARCHAR, state VARCHAR, run_id VARCHAR);
CREATE TABLE gold_items (pair_id VARCHAR, dimension VARCHAR, label VARCHAR, explanation VARCHAR, source VARCHAR, run_id VARCHAR);
CREATE TABLE votes (vote_id VARCHAR, task_id VARCHAR, pair_id VARCHAR, candidate_id VARCHAR, dimension VARCHAR, annotator_id VARCHAR, label VARCHAR, left_side VARCHAR, seconds DOUBLE, guideline_version INTEGER, label_config_id VARCHAR, source VARCHAR, rationale_id VARCHAR, deleted BOOLEAN, created_at TIMESTAMP, updated_at TIMESTAMP, run_id VARCHAR);
CREATE TABLE vote_revisions (revision_id VARCHAR, vote_id VARCHAR, action VARCHAR, label VARCHAR, happened_at TIMESTAMP, run_id VARCHAR);
CREATE TABLE annotator_events (event_id VARCHAR, annotator_id VARCHAR, kind VARCHAR, task VARCHAR, dimension VARCHAR, detail_json VARCHAR, happened_at TIMESTAMP, run_id VARCHAR);
CREATE TABLE rationales (rationale_id VARCHAR, pair_id VARCHAR, dimension VARCHAR, verdict VARCHAR, text VARCHAR, structured_json VARCHAR, author_kind VARCHAR, author_id VARCHAR, model_revision VARCHAR, verified BOOLEAN, checks_json VARCHAR, run_id VARCHAR);
CREATE TABLE consensus_runs (consensus_id VARCHAR, method VARCHAR, params_json VARCHAR, input_digest VARCHAR, n_votes BIGINT, n_pairs BIGINT, agreement_json VARCHAR, raters_json VARCHAR, run_id VARCHAR);
CREATE TABLE preferences (preference_id VARCHAR, consensus_id VARCHAR, pair_id VARCHAR, dimension VARCHAR, p_a DOUBLE, p_tie DOUBLE, n_votes INTEGER, n_a INTEGER, n_b INTEGER, n_tie INTEGER, n_both_bad INTEGER, split_population BOOLEAN, run_id VARCHAR);

CREATE TABLE recipes (recipe_id VARCHAR, name VARCHAR, body_json VARCHAR, run_id VARCHAR);
CREATE TABLE dataset_versions (name VARCHAR, version INTEGER, hash VARCHAR, parent INTEGER, recipe_id VARCHAR, consensus_id VARCHAR, snapshot_id BIGINT, counts_json VARCHAR, card VARCHAR, state VARCHAR, run_id VARCHAR, created_at TIMESTAMP);
CREATE TABLE tags (name VARCHAR, tag VARCHAR, version INTEGER, run_id VARCHAR);
CREATE TABLE tag_log (log_id VARCHAR, name VARCHAR, tag VARCHAR, from_version INTEGER, to_version INTEGER, forced BOOLEAN, happened_at TIMESTAMP, run_id VARCHAR);
CREATE TABLE shards (name VARCHAR, version INTEGER, split VARCHAR, shard VARCHAR, uri VARCHAR, sha256 VARCHAR, samples INTEGER, size_bytes BIGINT, run_id VARCHAR);
CREATE TABLE samples (name VARCHAR, version INTEGER, sample_key VARCHAR, split VARCHAR, pair_id VARCHAR, prompt_id VARCHAR, dimension VARCHAR, task VARCHAR, instruction_id VARCHAR, preference_id VARCHAR, rationale_id VARCHAR, reference_ids_json VARCHAR, p_a DOUBLE, content_sha256 VARCHAR, shard VARCHAR, run_id VARCHAR);

CREATE TABLE embeddings (embedding_id VARCHAR, candidate_id VARCHAR, model_id VARCHAR, layer VARCHAR, vector FLOAT[], run_id VARCHAR);
CREATE TABLE models (model_id VARCHAR, kind VARCHAR, name VARCHAR, uri VARCHAR, parent_id VARCHAR, dataset_name VARCHAR, dataset_version INTEGER, dataset_hash VARCHAR, reward_model_id VARCHAR, config_json VARCHAR, metrics_json VARCHAR, code_version VARCHAR, sha256 VARCHAR, run_id VARCHAR, created_at TIMESTAMP);
CREATE TABLE promotions (promotion_id VARCHAR, model_id VARCHAR, role VARCHAR, action VARCHAR, reason VARCHAR, happened_at TIMESTAMP, run_id VARCHAR);
CREATE TABLE evaluations (evaluation_id VARCHAR, model_id VARCHAR, dataset VARCHAR, slice VARCHAR, metric VARCHAR, value DOUBLE, n BIGINT, ci_low DOUBLE, ci_high DOUBLE, run_id VARCHAR);
CREATE TABLE attack_results (attack_id VARCHAR, model_id VARCHAR, attack VARCHAR, key VARCHAR, value DOUBLE, n BIGINT, ci_low DOUBLE, ci_high DOUBLE, passed BOOLEAN, run_id VARCHAR);
CREATE TABLE reference_ranks (rank_id VARCHAR, model_id VARCHAR, prompt_id VARCHAR, candidate_id VARCHAR, rank INTEGER, wins DOUBLE, comparisons INTEGER, run_id VARCHAR);
CREATE TABLE rewards (reward_id VARCHAR, model_id VARCHAR, prompt_id VARCHAR, candidate_id VARCHAR, reference_id VARCHAR, dimension VARCHAR, value DOUBLE, uncertainty DOUBLE, run_id VARCHAR);
CREATE TABLE metrics (run_key VARCHAR, step BIGINT, name VARCHAR, value DOUBLE, run_id VARCHAR);
