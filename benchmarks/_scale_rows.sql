-- Rows of a large warehouse, one INSERT a block; {names} are filled in by _scale_rows.py. md5 makes ids of 32 digits.
-- table: annotators
SELECT md5('rater' || n) AS annotator_id, 'human' AS kind, 'rater-' || n AS pseudonym FROM range({raters}) r(n);
-- table: prompts
SELECT md5('prompt' || n) AS prompt_id, 'a picture of number ' || n AS text, text AS canonical, 't2i' AS task,
    'image' AS media_kind, '{source}' AS source, 'id' AS domain FROM range({pairs} // 10 + 1) r(n);
-- table: generators
SELECT 'maker' || n AS generator_id, 'maker' || n AS name FROM range(8) r(n);
-- table: candidates
SELECT md5('candidate' || n) AS candidate_id, md5('prompt' || n // 20) AS prompt_id,
    'maker' || hash(n) % 8 AS generator_id, md5('media' || n) AS media_id, 't2i' AS task, '{source}' AS source
FROM range(2 * {pairs}) r(n);
-- table: media
SELECT md5('media' || n) AS media_id, 'image' AS kind, 'png' AS format,
    'media/sha256/00/00/' || md5('media' || n) || '.png' AS uri FROM range(2 * {pairs}) r(n);
-- table: pairs
SELECT md5('pair' || n) AS pair_id, md5('prompt' || n // 10) AS prompt_id, md5('candidate' || 2 * n) AS candidate_a,
    md5('candidate' || (2 * n + 1)) AS candidate_b, 't2i' AS task, '{source}' AS source FROM range({pairs}) r(n);
-- table: votes
-- Rater r is right in 60 to 95 of 100 votes; one vote in twenty is a tie. In the order in which an import writes them.
SELECT md5('vote' || v) AS vote_id, md5('pair' || n) AS pair_id, 'overall' AS dimension, md5('rater' || r) AS annotator_id,
    CASE WHEN hash(v, 'tie') % 20 = 0 THEN 'tie'
        WHEN (hash(v, 'luck') % 1000 < 600 + r * 350 // {raters}) = (hash(n, 'true') % 2 = 0) THEN 'a' ELSE 'b' END AS label,
    if(hash(v, 'left') % 2 = 0, 'a', 'b') AS left_side, 2.0 + hash(v, 's') % 90 / 10 AS seconds, 1 AS guideline_version,
    '{source}' AS source, false AS deleted, TIMESTAMP '2026-01-01' AS created_at,
    TIMESTAMP '2026-01-01' + to_seconds((v % 1000000)::BIGINT) AS updated_at
FROM (SELECT v, v % {pairs} AS n, (hash(v, 'who') % {raters})::BIGINT AS r FROM range({votes}) t(v)) ORDER BY pair_id;
-- table: preferences
SELECT md5('preference{run}-' || n) AS preference_id, 'run{run}' AS consensus_id, md5('pair' || n) AS pair_id,
    'overall' AS dimension, (hash(n, if(n % 100 = 0, {run}, 0)) % 1000) / 1000 AS p_a, 0.05 AS p_tie, 3 AS n_votes,
    2 AS n_a, 1 AS n_b, 0 AS n_tie, 0 AS n_both_bad, false AS split_population FROM range({pairs}) r(n);
-- table: samples
SELECT '{name}' AS name, {version} AS version, md5('sample' || n) AS sample_key, 'train' AS split,
    md5('pair' || n) AS pair_id, md5('prompt' || n // 10) AS prompt_id, 'overall' AS dimension, 't2i' AS task,
    'instruction' AS instruction_id, md5('preference{run}-' || n) AS preference_id, '[]' AS reference_ids_json,
    (hash(n, if(n % 100 = 0, {run}, 0)) % 1000) / 1000 AS p_a,
    md5(n || '-' || if(n % 100 = 0, {run}, 0)) || md5('x') AS content_sha256, 'train/x.tar' AS shard
FROM range({first}, {last}) r(n);
