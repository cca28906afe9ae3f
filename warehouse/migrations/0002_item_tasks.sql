-- A task may ask about one candidate (pass or fail) instead of a pair: item_kind 'item', pair_id NULL.
ALTER TABLE annotation_tasks ADD COLUMN candidate_id VARCHAR;
