"""The selection of a recipe as SQL: what stays, what is left out and why, and the facts that each sample carries.

A sample's facts are flat and never null, so that every reader infers the same types from any sample. Tables are written
`@table alias` and read at the build's snapshot (query.py); what a recipe names stands in the text as literals. Walking
the rows is select.py's.
"""

from __future__ import annotations

from collections.abc import Mapping

from warehouse.datasets.query import Snapshot, texts
from warehouse.datasets.recipe import split_sql
from warehouse.hashing import Column, content_id_sql, literal, netstrings_sql
from warehouse.shards.reader import SAMPLE_SCHEMA

MERGED_BY = ("consensus_id", "preference_id")
_TEXT_FACTS = (
    *("pair_id", "prompt_id", "candidate_a", "candidate_b", "media_a", "media_b", "generator_a", "generator_b"),
    *("generator_name_a", "generator_name_b", "task", "dimension", "media_kind", "source", "prompt_source", "domain"),
    *("preference_id", "consensus_id"),
)
_COUNTS = ("n_votes", "n_a", "n_b", "n_tie", "n_both_bad")


def facts_sql(snapshot: Snapshot) -> dict[str, str]:
    """Each fact as SQL over `_JOINED`; the type is the fact's own."""
    return {
        "schema": f"{SAMPLE_SCHEMA}::BIGINT",
        "key": "key",
        **{name: f"coalesce({name}, '')" for name in _TEXT_FACTS},
        **{name: f"coalesce({name}, 0)::DOUBLE" for name in ("p_a", "p_tie")},
        **{name: f"coalesce({name}, 0)::BIGINT" for name in _COUNTS},
        "split_population": "coalesce(split_population, false)",
        # 0 where there is no rate: images.
        "fps": "coalesce(fps_a, 0)::DOUBLE",
        "fps_b": "coalesce(fps_b, 0)::DOUBLE",
        "instruction_id": "coalesce(instruction_id, '')",
        "instruction_version": f"{snapshot.config.instruction_version}::BIGINT",
        "rationale_id": "coalesce(rationale_id, '')",
        "rationale_verdict": "coalesce(rationale_verdict, '')",
        "rationale_author_kind": "coalesce(rationale_author_kind, '')",
        "rationale_verified": "coalesce(rationale_verified, false)",
        "licences": "array_to_string(licence_ids, ' ')",
    }


_SAID = """
said AS (
    SELECT pair_id, dimension, if(verdict IN ('tie', 'both_bad'), 'tie', verdict) AS side,
        min_by(rationale_id, if(coalesce(verified, false), '0', '1') || rationale_id) AS rationale_id
    FROM @rationales r WHERE {wanted} AND trim(coalesce(text, '')) <> ''
        AND (coalesce(verified, false) OR author_kind IS DISTINCT FROM 'model') AND NOT {withdrawn}
        AND NOT {elsewhere} GROUP BY ALL
)"""
_RANKED = """
ranked AS (
    SELECT *, {turn} AS turn FROM @preferences f
    WHERE list_contains({consensus}, consensus_id) AND (len({dimensions}) = 0 OR list_contains({dimensions}, dimension))
)"""
_OTHERS = """
others AS (
    SELECT DISTINCT v.pair_id, v.dimension FROM @votes v LEFT JOIN @annotators a ON a.annotator_id = v.annotator_id
    LEFT JOIN @annotation_tasks k ON k.task_id = v.task_id
    WHERE len({kinds}) > 0 AND NOT coalesce(v.deleted, false) AND {asked}
        AND NOT list_contains({kinds}, coalesce(a.kind, 'unknown'))
)"""
_REFERENCES = """
refs AS (
    SELECT r.prompt_id, list({{'candidate_id': r.candidate_id, 'media_id': m.media_id, 'uri': m.uri}}
        ORDER BY r.rank, r.candidate_id) AS ranked
    FROM @reference_ranks r JOIN @candidates c ON c.candidate_id = r.candidate_id JOIN @media m ON
        m.media_id = c.media_id
    WHERE r.model_id = {model} AND NOT {withdrawn} AND NOT list_contains({absent}, m.uri) GROUP BY ALL
)"""
_JOINED = """
joined AS (
    SELECT f.preference_id, f.consensus_id, f.pair_id, f.dimension, f.p_a, f.p_tie, f.n_votes, f.n_a, f.n_b, f.n_tie,
        f.n_both_bad, f.split_population, f.turn, q.task, q.source, q.prompt_id, q.prompt_b_id, q.candidate_a,
        q.candidate_b, t.text, t.canonical, t.domain, t.media_kind, t.source AS prompt_source, t.condition_media_id,
        ga.generator_id AS generator_a, gb.generator_id AS generator_b, ga.name AS generator_name_a,
        gb.name AS generator_name_b, ma.media_id AS media_a, ma.uri AS uri_a, ma.fps AS fps_a,
        mb.media_id AS media_b, mb.uri AS uri_b, mb.fps AS fps_b, mc.uri AS uri_cond,
        list_sort(list_distinct([t.licence_id, ma.licence_id, mb.licence_id, mc.licence_id])) AS licence_ids,
        i.instruction_id, i.template, o.pair_id IS NOT NULL AS other_voters, r.rationale_id, r.text AS rationale,
        r.verdict AS rationale_verdict, r.author_kind AS rationale_author_kind, r.verified AS rationale_verified,
        {references} AS reference_list, {key} AS key
    FROM ranked f LEFT JOIN @pairs q ON q.pair_id = f.pair_id
    LEFT JOIN @prompts t ON t.prompt_id = q.prompt_id
    LEFT JOIN @candidates a ON a.candidate_id = q.candidate_a
    LEFT JOIN @candidates b ON b.candidate_id = q.candidate_b
    LEFT JOIN @generators ga ON ga.generator_id = a.generator_id
    LEFT JOIN @generators gb ON gb.generator_id = b.generator_id
    LEFT JOIN @media ma ON ma.media_id = a.media_id LEFT JOIN @media mb ON mb.media_id = b.media_id
    LEFT JOIN @media mc ON mc.media_id = t.condition_media_id
    LEFT JOIN (SELECT * FROM @instructions x WHERE version = {version} AND form = {form}) i
        ON i.task = q.task AND i.dimension = f.dimension
    LEFT JOIN others o ON o.pair_id = f.pair_id AND o.dimension = f.dimension
    LEFT JOIN said s ON s.pair_id = f.pair_id AND s.dimension = f.dimension
        AND s.side = CASE WHEN f.p_a = 0.5 THEN 'tie' WHEN f.p_a > 0.5 THEN 'a' ELSE 'b' END
    LEFT JOIN @rationales r ON r.rationale_id = s.rationale_id {more}
    WHERE len({tasks}) = 0 OR list_contains({tasks}, coalesce(q.task, ''))
)"""
_REASON = """CASE WHEN turn > 1 THEN 'superseded' WHEN text IS NULL THEN 'pair_unknown'
    WHEN prompt_b_id IS NOT NULL THEN 'across_prompts' WHEN {withdrawn} THEN 'withdrawn'
    WHEN len({sources}) > 0 AND NOT list_has_any({sources}, [source, prompt_source]) THEN 'other_source'
    WHEN len({generators}) > 0 AND NOT (list_has_any({generators}, [generator_a, generator_name_a])
        AND list_has_any({generators}, [generator_b, generator_name_b])) THEN 'other_generator'
    WHEN other_voters THEN 'other_annotators' WHEN p_a IS NULL THEN 'no_label'
    WHEN coalesce(n_votes, 0) < {min_votes} THEN 'few_votes'
    WHEN list_contains({closed}, lower(list_filter(licence_ids, lambda l: NOT list_contains({free}, lower(l)))[1]))
        THEN 'licence_non_commercial'
    WHEN len(list_filter(licence_ids, lambda l: NOT list_contains({free}, lower(l)))) > 0 THEN 'licence_unknown'
    WHEN instruction_id IS NULL THEN 'no_instruction'
    WHEN uri_a IS NULL OR uri_b IS NULL OR (condition_media_id IS NOT NULL AND uri_cond IS NULL)
        OR list_has_any({absent}, [uri_a, uri_b, uri_cond]) THEN 'media_absent' ELSE '' END"""
_SPLIT = """CASE WHEN list_has_any({generators}, [generator_a, generator_b, generator_name_a, generator_name_b])
    OR canonical IN (SELECT canonical FROM @prompts h WHERE list_contains({domains}, coalesce(domain, ''))
        OR list_contains({sources}, coalesce(source, ''))) THEN 'ood' ELSE dealt END"""
_TEXTS = ("prompt", "instruction", "rationale_text")
_MEMBERS = {"a": ("uri_a", "media_a"), "b": ("uri_b", "media_b"), "cond": ("uri_cond", "condition_media_id")}


def _content_sql(facts: Mapping[str, str]) -> str:
    """SQL for `content_sha256` over the columns of `_columns`."""
    parts = ["split", *_TEXTS]
    for name, sql in sorted(facts.items()):
        if name not in MERGED_BY:
            said = f"printf('%.17g', \"{name}\")" if sql.endswith("::DOUBLE") else f'"{name}"::VARCHAR'
            parts += [f"'{name}'", said]
    return f"sha256(concat({netstrings_sql(parts)}, media_text))"


def _media_sql(references: int) -> str:
    """SQL for the netstrings of a sample's media: suffix and id, in order of the suffix."""
    suffix = "'{role}' || regexp_extract({uri}, '\\.[^./]*$')"
    members = dict(_MEMBERS)
    for number in range(references):
        place = f"reference_list[{number + 1}]"
        members[f"ref{number}"] = (f"{place}.uri", f"{place}.media_id")
    told = [
        f"if({media} IS NULL, '', {netstrings_sql([suffix.format(role=role, uri=uri), media])})"
        for role, (uri, media) in sorted(members.items())
    ]
    return f"concat({', '.join(told)})"


def selection_sql(snapshot: Snapshot) -> str:
    """One row a preference with all of a sample: facts, texts, uris, `reason` ("" where it stays), `content`."""
    facts = facts_sql(snapshot)
    listed = ", ".join(f'{sql} AS "{name}"' for name, sql in facts.items())
    return f"""WITH {_sources(snapshot)}, named AS (
    SELECT {listed}, key AS sample_key, coalesce(canonical, '') AS canonical, coalesce(text, '') AS prompt,
        coalesce(template, '') AS instruction, coalesce(rationale, '') AS rationale_text, uri_a, uri_b, uri_cond,
        condition_media_id, reference_list, {_reason(snapshot)} AS reason, {_split(snapshot)} AS split,
        {_media_sql(snapshot.config.references)} AS media_text
    FROM (SELECT *, {split_sql(Column("canonical"), snapshot.config)} AS dealt FROM joined)
) SELECT * EXCLUDE (media_text), {_content_sql(facts)} AS content FROM named"""


def _sources(snapshot: Snapshot) -> str:
    config, none = snapshot.config, "[]::STRUCT(candidate_id VARCHAR, media_id VARCHAR, uri VARCHAR)[]"
    consensus = texts(config.consensus_ids)
    turn = "1"
    if len(config.consensus_ids) > 1:
        turn = (
            "row_number() OVER (PARTITION BY pair_id, dimension "
            f"ORDER BY list_position({consensus}, consensus_id), preference_id)"
        )
    parts = [
        _RANKED.format(turn=turn, consensus=consensus, dimensions=texts(config.dimensions)),
        _OTHERS.format(kinds=texts(config.annotator_kinds), asked=snapshot.asked),
        _SAID.format(
            wanted=str(config.rationales).lower(),
            withdrawn=snapshot.withdrawn("annotator", "author_id"),
            elsewhere=snapshot.heard_elsewhere,
        ),
    ]
    more, references = "", none
    if config.references:
        withdrawn = snapshot.withdrawn("media", "m.media_id")
        model = literal(config.reference_model_id)
        parts.append(_REFERENCES.format(model=model, withdrawn=withdrawn, absent=texts(snapshot.absent)))
        more = "LEFT JOIN refs ON refs.prompt_id = q.prompt_id"
        references = (
            "coalesce(list_filter(refs.ranked, lambda x: x.candidate_id NOT IN (q.candidate_a, q.candidate_b))"
            f"[1:{config.references}], {none})"
        )
    key = content_id_sql("sample", Column("f.pair_id"), Column("f.dimension"), config.instruction_version)
    form, tasks = literal(config.instruction_form), texts(config.tasks)
    joined = _JOINED.format(
        references=references, key=key, version=config.instruction_version, form=form, tasks=tasks, more=more
    )
    return ",".join([*parts, joined])


def _reason(snapshot: Snapshot) -> str:
    config, (free, closed) = snapshot.config, snapshot.usable_licences
    withdrawn = [
        snapshot.withdrawn("prompt", "prompt_id"),
        snapshot.withdrawn("source", "source", "prompt_source"),
        snapshot.withdrawn("media", "media_a", "media_b", "condition_media_id"),
    ]
    return _REASON.format(
        withdrawn=" OR ".join(withdrawn),
        sources=texts(config.sources),
        generators=texts(config.generators),
        min_votes=config.min_votes,
        free=texts(free),
        closed=texts(closed),
        absent=texts(snapshot.absent),
    )


def _split(snapshot: Snapshot) -> str:
    config = snapshot.config
    return _SPLIT.format(
        generators=texts(config.ood_generators),
        domains=texts(config.ood_domains),
        sources=texts(config.ood_sources),
    )
