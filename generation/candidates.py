"""Stage `candidates`: a generator makes several candidates for each prompt; chunks are committed as they finish.

A killed run loses at most one chunk: the next one finds what is there by content id and makes the rest. Bytes that
are no media become rejects with the prompt and seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field

from generation.protocol import Generator
from warehouse import Warehouse
from warehouse.errors import ConfigError, MediaError
from warehouse.hashing import content_id
from warehouse.importers.media import media_row
from warehouse.plugins import load_plugin
from warehouse.records import Row, candidate_row, generator_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage


class CandidateConfig(StageConfig):
    """Which generator, which prompts (by source and task; `limit` by hash order), how many candidates each."""

    generator: str
    generator_options: dict[str, Any] = Field(default_factory=dict)
    task: str = "t2i"
    source: str
    per_prompt: int = Field(default=4, ge=1)
    limit: int = Field(default=0, ge=0)
    seed: int = 0
    batch: int = Field(default=64, ge=1)


_PROMPTS = "SELECT prompt_id, text FROM prompts WHERE task = ? AND source = ? ORDER BY prompt_id"


def seed_of(prompt_id: str, index: int, seed: int) -> int:
    """The 31-bit noise seed of one candidate."""
    return int(content_id("candidate seed", prompt_id, index, seed)[:8], 16) & 0x7FFFFFFF


def _chunks(items: Sequence[tuple[Row, int]], size: int) -> Iterator[Sequence[tuple[Row, int]]]:
    for start in range(0, len(items), size):
        yield items[start:start + size]


def _missing(config: CandidateConfig, warehouse: Warehouse, generator_id: str, params: Row,
             prompts: list[Row]) -> list[tuple[Row, int]]:
    """(prompt, seed) of every candidate that is not in the warehouse yet."""
    there = {row["candidate_id"] for row in warehouse.rows(
        "SELECT candidate_id FROM candidates WHERE generator_id = ?", [generator_id])}
    wanted = [(prompt, seed_of(prompt["prompt_id"], index, config.seed))
              for prompt in prompts for index in range(config.per_prompt)]
    return [(prompt, seed) for prompt, seed in wanted
            if candidate_row(prompt["prompt_id"], generator_id, None, seed, params, config.task,
                             "generated")["candidate_id"] not in there]


def _store(warehouse: Warehouse, recorder: Recorder, config: CandidateConfig, generator: Generator, generator_id: str,
           chunk: Sequence[tuple[Row, int]]) -> None:
    """Generate, store and commit one chunk."""
    made = generator.generate([prompt["text"] for prompt, _ in chunk], [seed for _, seed in chunk])
    media: list[Row] = []
    candidates: list[Row] = []
    for (prompt, seed), data in zip(chunk, made, strict=True):
        try:
            info = warehouse.media.put(data)
        except MediaError as error:
            recorder.reject(source=generator.name, location=f"{prompt['prompt_id']}:{seed}", reason=error.reason,
                            detail=str(error))
            continue
        media.append(media_row(warehouse, info, "generated"))
        candidates.append(candidate_row(prompt["prompt_id"], generator_id, info.media_id, seed, dict(generator.params),
                                        config.task, "generated"))
    with warehouse.commit(f"candidates {generator.name}"):
        warehouse.merge("media", media, run_id=recorder.run_id)
        recorder.count("candidates", warehouse.merge("candidates", candidates, run_id=recorder.run_id))


def run(config: CandidateConfig, warehouse: Warehouse) -> Receipt:
    """Generate what is missing. Raises ConfigError where no prompt fits."""
    generator: Generator = load_plugin(config.generator)(**config.generator_options)
    about = generator_row(generator.name, generator.kind, generator.revision, generator.params)
    prompts = warehouse.rows(_PROMPTS, [config.task, config.source])
    prompts = sorted(prompts, key=lambda row: content_id("choose", row["prompt_id"], config.seed))
    prompts = prompts[:config.limit or None]
    if not prompts:
        raise ConfigError(f"no {config.task} prompts of source {config.source!r}", hint="import prompts first")

    def body(recorder: Recorder) -> None:
        warehouse.merge("generators", [about], run_id=recorder.run_id)
        missing = _missing(config, warehouse, about["generator_id"], dict(generator.params), prompts)
        total = len(prompts) * config.per_prompt
        recorder.count("read", total)
        recorder.count("already_there", total - len(missing))
        recorder.count("candidates", 0)
        done = total - len(missing)
        for chunk in _chunks(missing, config.batch):
            _store(warehouse, recorder, config, generator, about["generator_id"], chunk)
            done += len(chunk)
            recorder.progress(done, total, generator.name)
        recorder.output("generator_id", about["generator_id"])
        recorder.output("candidates", total)

    inputs = {"prompts": content_id(*[row["prompt_id"] for row in prompts]), "generator": about["generator_id"]}
    return run_stage("candidates", config, warehouse, inputs, body)
