-- Tables that grow with users lie in the order of the id by which they are looked up, in small row groups: a look-up
-- reads the few groups whose range holds the id, not the whole column. Votes come in the order of their pairs, by which
-- they are looked up; large imports see to it themselves. Files that are there keep their order until they are rewritten.
CALL lake.set_option('parquet_row_group_size', 8192);
ALTER TABLE prompts SET SORTED BY (prompt_id);
ALTER TABLE media SET SORTED BY (media_id);
ALTER TABLE candidates SET SORTED BY (candidate_id);
ALTER TABLE pairs SET SORTED BY (pair_id);
ALTER TABLE annotation_tasks SET SORTED BY (task_id);
ALTER TABLE rationales SET SORTED BY (rationale_id);
ALTER TABLE preferences SET SORTED BY (preference_id);
ALTER TABLE samples SET SORTED BY (sample_key);
ALTER TABLE rewards SET SORTED BY (reward_id);
