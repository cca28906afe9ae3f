"""Rows with their content ids: the one place that says what makes two records the same.

Each function returns a dictionary ready for `Warehouse.merge`. Run ids and times are not part of any id, so that a
retry, another machine, or a second import makes the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from warehouse.errors import InvalidInputError
from warehouse.hashing import canonical_json, canonical_text, content_id

TASKS = ("t2i", "t2v", "i2v", "edit")
DIMENSIONS = ("overall", "text_alignment", "visual_quality", "motion_quality")
ADVERSARIAL = "adversarial"
"""Source of pairs that nobody voted on: made to be refused. They have shards of their own."""
LABELS = ("a", "b", "tie", "both_bad")
ITEM_LABELS = ("pass", "fail")
Row = dict[str, Any]


def _one_of(value: str, allowed: tuple[str, ...], what: str) -> str:
    if value not in allowed:
        raise InvalidInputError(f"unknown {what} {value!r}", hint=f"one of {', '.join(allowed)}")
    return value


def licence_row(name: str, url: str = "", non_commercial: bool = False) -> Row:
    """A licence; the id is its name in lower case."""
    return {"licence_id": name.casefold(), "name": name, "url": url, "non_commercial": non_commercial}


def prompt_row(
    text: str,
    task: str,
    media_kind: str,
    source: str,
    source_item: str = "",
    domain: str = "id",
    tags: Mapping[str, Any] | None = None,
    condition_media_id: str | None = None,
    licence_id: str | None = None,
) -> Row:
    """A prompt; the same canonical text for the same task and condition is one prompt whatever its source."""
    canonical = canonical_text(text)
    if not canonical:
        raise InvalidInputError("an empty prompt", where=f"{source}:{source_item}")
    return {
        "prompt_id": content_id("prompt", _one_of(task, TASKS, "task"), canonical, condition_media_id),
        "text": text,
        "canonical": canonical,
        "task": task,
        "media_kind": media_kind,
        "source": source,
        "source_item": source_item,
        "domain": domain,
        "tags_json": canonical_json(dict(tags or {})),
        "condition_media_id": condition_media_id,
        "licence_id": licence_id,
    }


def generator_row(
    name: str, kind: str, revision: str, params: Mapping[str, Any] | None = None, parent_id: str | None = None
) -> Row:
    """A generator at one revision with its sampling parameters."""
    text = canonical_json(dict(params or {}))
    return {
        "generator_id": content_id("generator", name, kind, revision, text),
        "name": name,
        "kind": kind,
        "revision": revision,
        "params_json": text,
        "parent_id": parent_id,
    }


def candidate_row(
    prompt_id: str,
    generator_id: str,
    media_id: str | None,
    seed: int | None,
    params: Mapping[str, Any],
    task: str,
    source: str,
    source_item: str = "",
) -> Row:
    """A candidate: keyed by what made it, or, where imported, by its source's item and bytes."""
    text = canonical_json(dict(params))
    key = (source, source_item, media_id) if source_item else (generator_id, prompt_id, seed, text)
    return {
        "candidate_id": content_id("candidate", *key),
        "prompt_id": prompt_id,
        "generator_id": generator_id,
        "media_id": media_id,
        "seed": seed,
        "params_json": text,
        "task": task,
        "source": source,
        "source_item": source_item,
    }


def pair_row(
    prompt_id: str,
    candidate_x: str,
    candidate_y: str,
    task: str,
    strategy: str,
    source: str,
    prompt_b_id: str | None = None,
) -> Row:
    """A pair; a is the smaller candidate id, so that the order of the arguments does not matter.

    `prompt_b_id` is the second candidate's prompt where it differs (a pair across prompts); both swap together.
    """
    if candidate_x == candidate_y:
        raise InvalidInputError(f"a pair of one candidate with itself: {candidate_x}")
    swapped = candidate_y < candidate_x
    a, b = (candidate_y, candidate_x) if swapped else (candidate_x, candidate_y)
    first, second = (prompt_b_id, prompt_id) if swapped and prompt_b_id else (prompt_id, prompt_b_id)
    return {
        "pair_id": content_id("pair", first, second, a, b),
        "prompt_id": first,
        "prompt_b_id": second,
        "candidate_a": a,
        "candidate_b": b,
        "task": task,
        "strategy": strategy,
        "source": source,
    }


def annotator_row(kind: str, name: str, attributes: Mapping[str, Any] | None = None) -> Row:
    """An annotator under a pseudonym derived from kind and name."""
    annotator_id = content_id("annotator", kind, name)
    return {
        "annotator_id": annotator_id,
        "kind": kind,
        "pseudonym": f"rater-{annotator_id[:8]}",
        "attributes_json": canonical_json(dict(attributes or {})),
    }


def vote_row(
    task_id: str | None,
    pair_id: str,
    dimension: str,
    annotator_id: str,
    label: str,
    source: str,
    created_at: datetime,
    *,
    left_side: str | None = None,
    seconds: float | None = None,
    guideline_version: int = 1,
    label_config_id: str | None = None,
    rationale_id: str | None = None,
) -> Row:
    """A vote, un-swapped: `label` speaks of candidates a and b, `left_side` says which one stood left."""
    _one_of(label, LABELS, "label")
    return {
        "vote_id": content_id("vote", task_id or source, pair_id, dimension, annotator_id),
        "task_id": task_id,
        "pair_id": pair_id,
        "dimension": dimension,
        "annotator_id": annotator_id,
        "label": label,
        "left_side": left_side,
        "seconds": seconds,
        "guideline_version": guideline_version,
        "label_config_id": label_config_id,
        "source": source,
        "rationale_id": rationale_id,
        "deleted": False,
        "created_at": created_at,
        "updated_at": created_at,
    }


def item_vote_row(
    task_id: str,
    candidate_id: str,
    dimension: str,
    annotator_id: str,
    label: str,
    source: str,
    created_at: datetime,
    *,
    seconds: float | None = None,
    guideline_version: int = 1,
) -> Row:
    """A vote on one candidate: pass or fail; it has no pair and no side."""
    _one_of(label, ITEM_LABELS, "label")
    return {
        "vote_id": content_id("item vote", task_id, candidate_id, dimension, annotator_id),
        "task_id": task_id,
        "candidate_id": candidate_id,
        "dimension": dimension,
        "annotator_id": annotator_id,
        "label": label,
        "seconds": seconds,
        "guideline_version": guideline_version,
        "source": source,
        "deleted": False,
        "created_at": created_at,
        "updated_at": created_at,
    }


def rationale_row(
    pair_id: str,
    dimension: str,
    verdict: str,
    text: str,
    author_kind: str,
    author_id: str,
    model_revision: str | None = None,
    verified: bool = False,
) -> Row:
    """A rationale with its author; `verified` says that the verdict could be predicted back from it."""
    return {
        "rationale_id": content_id("rationale", pair_id, dimension, author_id, text),
        "pair_id": pair_id,
        "dimension": dimension,
        "verdict": _one_of(verdict, LABELS, "verdict"),
        "text": text,
        "author_kind": author_kind,
        "author_id": author_id,
        "model_revision": model_revision,
        "verified": verified,
    }


def instruction_row(task: str, dimension: str, version: int, form: str, template: str) -> Row:
    """A task-aware instruction: `template` has the slots {prompt} {image_1} {image_2} {question}."""
    return {
        "instruction_id": content_id("instruction", task, dimension, version, form, template),
        "task": task,
        "dimension": dimension,
        "version": version,
        "form": form,
        "template": template,
    }


def dimension_row(dimension: str, task: str, version: int, title: str, criteria: str) -> Row:
    """What raters are asked to judge: criteria of one dimension for one task, versioned."""
    return {
        "dimension_id": content_id("dimension", dimension, task, version, criteria),
        "dimension": dimension,
        "task": task,
        "version": version,
        "title": title,
        "criteria": criteria,
    }
