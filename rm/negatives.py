"""Stage `negatives`: pairs that a reward model should refuse, as rows and shards of their own (arXiv 2507.08794).

Samples of a dataset version, by hash, become pairs of source `adversarial`: their winner against itself, visibly
spoiled by a lesson (attacks.py), which must lose; and the pair as it was under a prompt with a text lesson
(text_keys.py), whose answer must not change. Nobody voted on them: they are a consensus run of method `adversarial`,
with no votes, that a recipe names beside others (`consensus_ids`, `min_votes: 0`) or leaves out. Only prompts of train
and validation are taken, so that no test is touched; the gate's own attacks are disjoint from all lessons.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rm.attacks import attacked, lessons_for, visibly
from rm.context import Frames
from rm.reward_model import frames_of
from rm.text_keys import TEXT_LESSONS, with_key
from rm.train import dataset_hash
from warehouse import Warehouse
from warehouse.datasets.recipe import BuildConfig, split_sql
from warehouse.errors import InvalidInputError
from warehouse.hashing import Column, canonical_json, canonical_text, content_id
from warehouse.importers.media import media_row
from warehouse.media.encode import encode_mp4, encode_png
from warehouse.records import ADVERSARIAL, Row, candidate_row, generator_row, pair_row, prompt_row
from warehouse.shards import Sample, open_split
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_SPLITS = ("train", "validation")
_COMMIT = 256
Tables = dict[str, list[Row]]


class NegativesConfig(StageConfig):
    """Of which version, and what shares of its training and validation samples become negatives of each kind.

    Empty `dimensions` takes all.
    """

    dataset: str
    version: int
    dimensions: tuple[str, ...] = ()
    pictures: float = Field(default=0.5, ge=0, le=1)
    words: float = Field(default=0.25, ge=0, le=1)
    seed: int = 0


def run(config: NegativesConfig, warehouse: Warehouse) -> Receipt:
    """Write them; outputs consensus_id, which a recipe names, and consensus_ids with those of the version before it."""
    recipe = recipe_of(config, warehouse)
    inputs = {"dataset": dataset_hash(warehouse, config.dataset, config.version)}
    consensus_id = content_id(ADVERSARIAL, canonical_json(config.identity()), canonical_json(inputs))

    def body(recorder: Recorder) -> None:
        splits = {split: open_split(warehouse.root, config.dataset, config.version, split,
                                    dimensions=config.dimensions) for split in _SPLITS}
        chosen = [each for split, samples in splits.items() for each in _chosen(config, split, samples.keys)]
        if not chosen:
            raise InvalidInputError("no sample to make negatives of", where=f"{config.dataset}@{config.version}")
        recorder.count("read", len(chosen))
        for start in range(0, len(chosen), _COMMIT):
            tables: Tables = {}
            chunk = [(split, splits[split][index], kind) for split, index, kind in chosen[start:start + _COMMIT]]
            dealt = _dealt(warehouse, recipe, [sample.prompt for _, sample, kind in chunk if kind == "words"])
            for split, sample, kind in chunk:
                made = _spoiled(sample, warehouse) if kind == "pictures" else _worded(sample, split, dealt)
                for table, row in made:
                    tables.setdefault(table, []).append(row)
                if not made:
                    recorder.count("left_out_no_prompt_of_this_split")
            for row in tables.get("preferences", []):
                row |= {"consensus_id": consensus_id,
                        "preference_id": content_id("preference", consensus_id, row["pair_id"], row["dimension"])}
            with warehouse.commit(f"negatives {consensus_id}"):
                for table, rows in tables.items():
                    distinct = {repr(row): row for row in rows}
                    warehouse.merge(table, list(distinct.values()), run_id=recorder.run_id)
            recorder.count("pairs", len(tables.get("pairs", [])))
            recorder.progress(min(start + _COMMIT, len(chosen)), len(chosen), "negatives")
        warehouse.merge("consensus_runs", [{"consensus_id": consensus_id, "method": ADVERSARIAL}],
                        run_id=recorder.run_id)
        recorder.output("consensus_id", consensus_id)
        recorder.output("consensus_ids", [*recipe.consensus_ids, consensus_id])

    return run_stage("negatives", config, warehouse, inputs, body)


def recipe_of(config: NegativesConfig, warehouse: Warehouse) -> BuildConfig:
    """The version's own recipe: which prompt belongs to which split."""
    dataset_hash(warehouse, config.dataset, config.version)
    rows = warehouse.rows("SELECT r.body_json FROM recipes r JOIN dataset_versions v USING (recipe_id) "
                          "WHERE v.name = ? AND v.version = ?", [config.dataset, config.version])
    return BuildConfig.model_validate(json.loads(rows[0]["body_json"]))


def _chosen(config: NegativesConfig, split: str, keys: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """(split, index, kind) of what becomes a negative, by hash of the sample's key."""
    for kind in ("pictures", "words"):
        for index, key in enumerate(keys):
            if int(content_id("negative", config.seed, kind, key)[:8], 16) < getattr(config, kind) * 2**32:
                yield split, index, kind


def _spoiled(sample: Sample, warehouse: Warehouse) -> list[tuple[str, Row]]:
    """The sample's winner against itself after a lesson, which loses."""
    facts, number = sample.facts, int(content_id("lesson", sample.key)[:8], 16)
    side = "a" if float(facts["p_a"]) >= 0.5 else "b"
    frames = frames_of(sample.a if side == "a" else sample.b)
    lesson, spoiled = _lesson(frames, sample.prompt, number)
    info = warehouse.media.put(_encoded(spoiled))
    generator = generator_row(ADVERSARIAL, ADVERSARIAL, "1", {"lesson": lesson})
    candidate = candidate_row(facts["prompt_id"], generator["generator_id"], info.media_id, number, {"of": sample.key},
                              facts["task"], ADVERSARIAL)
    winner = facts[f"candidate_{side}"]
    pair = pair_row(facts["prompt_id"], winner, candidate["candidate_id"], facts["task"], ADVERSARIAL, ADVERSARIAL)
    return [("media", media_row(warehouse, info, ADVERSARIAL)), ("generators", generator), ("candidates", candidate),
            ("pairs", pair), ("preferences", _preference(pair, facts, float(pair["candidate_a"] == winner)))]


def _lesson(frames: Frames, prompt: str, number: int) -> tuple[str, Frames]:
    """The lesson that is this sample's turn, or the next one that shows: a clip that stands still cannot be held."""
    made = ((lesson, attacked(frames, prompt, lesson, number)) for lesson in lessons_for(frames, number))
    return next((lesson, spoiled) for lesson, spoiled in made if visibly(frames, spoiled))


def _encoded(frames: Frames) -> bytes:
    """PNG, or MP4 at the frames' own rate."""
    pixels: NDArray[np.uint8] = np.asarray(frames.pixels)
    if len(frames.times_s) == 1:
        return encode_png(pixels[0])
    return encode_mp4(pixels, (len(frames.times_s) - 1) / (frames.times_s[-1] - frames.times_s[0]))


def _dealt(warehouse: Warehouse, recipe: BuildConfig, prompts: Sequence[str]) -> dict[str, str]:
    """{canonical text: split} of prompts under every text lesson."""
    words = sorted({canonical_text(with_key(prompt, lesson)) for prompt in prompts for lesson in TEXT_LESSONS})
    rows = warehouse.rows(f"SELECT canonical, {split_sql(Column('canonical'), recipe)} AS split "
                          "FROM (SELECT unnest(?::VARCHAR[]) AS canonical)", [words])
    return {row["canonical"]: row["split"] for row in rows}


def _worded(sample: Sample, split: str, dealt: Mapping[str, str]) -> list[tuple[str, Row]]:
    """The pair under a prompt with a text lesson; its label stays. Nothing where no such prompt is of this split."""
    facts, number = sample.facts, int(content_id("words", sample.key)[:8], 16)
    # A prompt with a picture of its own (edit, i2v) would need that picture again.
    lessons = sorted(TEXT_LESSONS) if sample.condition is None else []
    for turn in range(len(lessons)):
        words = with_key(sample.prompt, lessons[(number + turn) % len(lessons)])
        if dealt[canonical_text(words)] == split:
            prompt = prompt_row(words, facts["task"], facts["media_kind"], ADVERSARIAL, domain=facts["domain"] or "id")
            pair = pair_row(prompt["prompt_id"], facts["candidate_a"], facts["candidate_b"], facts["task"], ADVERSARIAL,
                            ADVERSARIAL)
            return [("prompts", prompt), ("pairs", pair), ("preferences", _preference(pair, facts, facts["p_a"]))]
    return []


def _preference(pair: Row, facts: Mapping[str, Any], p_a: float) -> Row:
    return {"pair_id": pair["pair_id"], "dimension": facts["dimension"], "p_a": p_a, "p_tie": 0.0, "n_votes": 0,
            "n_a": 0, "n_b": 0, "n_tie": 0, "n_both_bad": 0, "split_population": False}
