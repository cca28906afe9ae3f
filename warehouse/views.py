"""Named views over the tables: the questions that people ask most, as SQL that they and the commands share.

docs/sql.md lists them with the questions they answer; a test runs every example there. Views live in the connection of
`sql.query`, not in the catalog: they always fit the software that runs, and read at the snapshot asked for.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """`about`: what one row is, in a line; `sql`: a SELECT over tables and over views listed before it."""

    about: str
    sql: str


VIEWS: dict[str, View] = {
    "live_votes": View(
        "a vote that counts, with its rater and campaign",
        """
SELECT v.vote_id, v.pair_id, v.dimension, v.label, v.annotator_id, a.pseudonym, a.kind AS annotator_kind,
    t.campaign_id, coalesce(t.gold, false) AS gold, v.source, v.left_side, v.seconds, v.guideline_version,
    v.label_config_id, v.rationale_id, v.created_at, v.updated_at
FROM votes v LEFT JOIN annotators a USING (annotator_id) LEFT JOIN annotation_tasks t USING (task_id)
WHERE NOT coalesce(v.deleted, false)""",
    ),
    "pair_sides": View(
        "a pair with its prompt, and the generator and media of both sides",
        """
SELECT p.pair_id, p.task, p.strategy, p.source, p.prompt_id, t.text AS prompt, t.canonical, t.domain,
    t.source AS prompt_source, t.media_kind, t.condition_media_id, p.candidate_a, p.candidate_b,
    a.generator_id AS generator_a, b.generator_id AS generator_b, ga.name AS generator_name_a,
    gb.name AS generator_name_b, a.media_id AS media_a, b.media_id AS media_b
FROM pairs p LEFT JOIN prompts t USING (prompt_id)
LEFT JOIN candidates a ON a.candidate_id = p.candidate_a LEFT JOIN candidates b ON b.candidate_id = p.candidate_b
LEFT JOIN generators ga ON ga.generator_id = a.generator_id
LEFT JOIN generators gb ON gb.generator_id = b.generator_id""",
    ),
    "dataset_samples": View(
        "a sample of a dataset version with its preference, pair and prompt",
        """
SELECT s.name, s.version, s.sample_key, s.split, s.pair_id, s.dimension, s.task, s.p_a, f.p_tie, f.n_votes, f.n_a,
    f.n_b, f.n_tie, f.n_both_bad, f.split_population, f.consensus_id, s.preference_id, s.rationale_id, s.instruction_id,
    s.prompt_id, p.prompt, p.canonical, p.source, p.generator_name_a, p.generator_name_b, p.candidate_a, p.candidate_b,
    p.media_a, p.media_b, s.shard, s.content_sha256
FROM samples s LEFT JOIN preferences f USING (preference_id)
LEFT JOIN pair_sides p ON p.pair_id = s.pair_id""",
    ),
    "sample_votes": View(
        "a vote on the pair and dimension of a sample, as votes stand now (with `--at NAME@V` as its build read them)",
        """
SELECT s.name, s.version, s.sample_key, s.split, v.*
FROM samples s JOIN live_votes v ON v.pair_id = s.pair_id AND v.dimension = s.dimension""",
    ),
    "win_rates": View(
        "a generator in one task and dimension: comparisons with other generators, and its share won, ties as half",
        """
WITH sides AS (
    SELECT p.task, v.dimension, p.generator_name_a AS generator, v.label = 'a' AS won, v.label = 'b' AS lost
    FROM live_votes v JOIN pair_sides p USING (pair_id) WHERE p.generator_a <> p.generator_b AND NOT v.gold
    UNION ALL
    SELECT p.task, v.dimension, p.generator_name_b, v.label = 'b', v.label = 'a'
    FROM live_votes v JOIN pair_sides p USING (pair_id) WHERE p.generator_a <> p.generator_b AND NOT v.gold
)
SELECT task, dimension, generator, count(*) AS comparisons, count(*) FILTER (won) AS wins,
    count(*) FILTER (lost) AS losses, count(*) FILTER (NOT won AND NOT lost) AS ties,
    (count(*) FILTER (won) + 0.5 * count(*) FILTER (NOT won AND NOT lost)) / count(*) AS win_rate
FROM sides GROUP BY ALL""",
    ),
    "label_patterns": View(
        "a pattern of vote counts, with how many pairs of a task and dimension show it",
        """
WITH counted AS (
    SELECT p.task, v.dimension, v.pair_id, count(*) FILTER (v.label = 'a') AS n_a,
        count(*) FILTER (v.label = 'b') AS n_b, count(*) FILTER (v.label = 'tie') AS n_tie,
        count(*) FILTER (v.label = 'both_bad') AS n_both_bad
    FROM live_votes v JOIN pairs p USING (pair_id) WHERE NOT v.gold GROUP BY ALL
)
SELECT task, dimension, n_a, n_b, n_tie, n_both_bad, count(*) AS pairs FROM counted GROUP BY ALL""",
    ),
    "rater_statistics": View(
        "a rater in one dimension: votes, speed, share of ties and of the left side, agreement with the others",
        """
WITH counted AS (
    SELECT pair_id, dimension, label, count(*) AS same FROM live_votes WHERE NOT gold GROUP BY ALL
),
shares AS (SELECT *, sum(same) OVER (PARTITION BY pair_id, dimension) AS votes FROM counted)
SELECT v.annotator_id, v.pseudonym, v.annotator_kind, v.dimension, count(*) AS votes, median(v.seconds) AS seconds,
    avg((v.label = 'tie')::INT) AS tie_share, avg((v.label = v.left_side)::INT) FILTER (v.label IN ('a', 'b')) AS
    left_share, avg((s.same - 1) / (s.votes - 1)) FILTER (s.votes > 1) AS agreement
FROM live_votes v JOIN shares s USING (pair_id, dimension, label) WHERE NOT v.gold GROUP BY ALL""",
    ),
    "dataset_history": View(
        "a dataset version with its rows, parent and tags",
        """
SELECT d.name, d.version, d.state, d.hash, d.parent, d.recipe_id, d.consensus_id, d.snapshot_id, d.created_at,
    (SELECT count(*) FROM samples s WHERE s.name = d.name AND s.version = d.version) AS samples,
    (SELECT list(t.tag ORDER BY t.tag) FROM tags t WHERE t.name = d.name AND t.version = d.version) AS tags
FROM dataset_versions d""",
    ),
    "version_models": View(
        "a model that learned from a dataset version: trained on it, started from such a model, or aligned by one",
        """
WITH RECURSIVE learned AS (
    SELECT dataset_name AS name, dataset_version AS version, model_id, 0 AS steps FROM models
    WHERE dataset_name IS NOT NULL
    UNION
    SELECT l.name, l.version, m.model_id, l.steps + 1 FROM learned l
    JOIN models m ON m.parent_id = l.model_id OR m.reward_model_id = l.model_id WHERE l.steps < 32
)
SELECT l.name, l.version, l.model_id, m.kind, m.name AS model, min(l.steps) AS steps
FROM learned l JOIN models m USING (model_id) GROUP BY ALL""",
    ),
    "prompt_splits": View(
        "a prompt's text in a dataset version, with the splits it stands in",
        """
SELECT s.name, s.version, p.canonical, list(DISTINCT s.split ORDER BY s.split) AS splits, count(*) AS samples
FROM samples s JOIN prompts p USING (prompt_id) GROUP BY ALL""",
    ),
    "media_splits": View(
        "a picture or clip in a dataset version, with the splits it stands in",
        """
WITH sides AS (
    SELECT s.name, s.version, s.split, p.media_a AS media_id FROM samples s JOIN pair_sides p USING (pair_id)
    UNION ALL
    SELECT s.name, s.version, s.split, p.media_b FROM samples s JOIN pair_sides p USING (pair_id)
)
SELECT name, version, media_id, list(DISTINCT split ORDER BY split) AS splits, count(*) AS samples
FROM sides GROUP BY ALL""",
    ),
    "reject_reasons": View(
        "a reason for which a stage refused rows of a source",
        "SELECT stage, source, reason, count(*) AS rows, min(location) AS example FROM rejects GROUP BY ALL",
    ),
}


def using(sql: str, votes_at: int | None = None) -> str:
    """`sql` with every view it may name in front of it, so that it runs on any connection to the lake.

    `votes_at` reads votes as they stood at that snapshot: those that a version's build counted.
    """
    body = sql.strip()
    wanted = needed(body)
    if not wanted:
        return body
    recursive = " RECURSIVE" if "version_models" in wanted else ""
    text = f"WITH{recursive} " + ", ".join(f"{name} AS ({VIEWS[name].sql})" for name in wanted) + f"\n{body}"
    return text if votes_at is None else text.replace("FROM votes v ", f"FROM votes v AT (VERSION => {votes_at}) ")


def needed(sql: str) -> list[str]:
    """Views that `sql` names, and those behind them, in the order of their definition."""
    wanted: set[str] = set()
    texts = [sql]
    while texts:
        text = texts.pop()
        for name, view in VIEWS.items():
            if name not in wanted and name in text:
                wanted.add(name)
                texts.append(view.sql)
    return [name for name in VIEWS if name in wanted]
