"""Stage `references`: the best of N candidates of the starting policy become what its samples must beat in RL.

RewardDance (arXiv 2509.08826, Sec. 3.3 and Tab. 8): N candidates a prompt from the policy before RL, compared in pairs
by the reward model, the k with most wins kept. Candidates are made by the stage `candidates`; this one ranks what is
there. Ranks are keyed `RANK_KEY-...`, and a later stage is given the rank key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from alignment.reward import Goal
from alignment.tournament import METHODS
from rm.context import Frames
from rm.model_folder import find_model, read_card
from rm.reward_model import PairItem, RewardModel, frames_of, load_reward_model
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import canonical_json, content_id
from warehouse.records import Row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_BATCH = 256
_COMMIT_PROMPTS = 16


class ReferenceConfig(StageConfig):
    """Which candidates (generator, prompts by task, source, domain; `limit` by hash order), the judge, N and k."""

    generator_id: str
    reward_model: str = Field(json_schema_extra={"place": True})
    task: str = "t2i"
    dimension: str = "overall"
    source: str = "simulation"
    domain: str = "id"
    n: int = Field(default=16, ge=2)
    k: int = Field(default=2, ge=1)
    limit: int = Field(default=0, ge=0)
    method: Literal["finals", "round_robin"] = "finals"


class PromptComparer:
    """A reward model's P(candidate beats reference) for one prompt."""

    def __init__(self, model: RewardModel, prompt: str, task: str, dimension: str) -> None:
        self._model, self._prompt, self._task, self._dimension = model, prompt, task, dimension

    def __call__(self, references: Sequence[Frames], candidates: Sequence[Frames]) -> NDArray[np.float32]:
        items = [PairItem(self._prompt, reference, candidate, self._task, self._dimension)
                 for reference, candidate in zip(references, candidates, strict=True)]
        return self._model.score_pairs(items, batch=_BATCH)


_CANDIDATES = """
SELECT p.prompt_id, p.text, c.candidate_id, c.media_id FROM candidates c JOIN prompts p USING (prompt_id)
WHERE c.generator_id = ? AND p.task = ? AND p.source = ? AND (? = '' OR p.domain = ?) AND c.media_id IS NOT NULL
ORDER BY p.prompt_id, c.candidate_id
"""


def candidates_of(warehouse: Warehouse, generator_id: str, task: str, source: str, domain: str, n: int, limit: int,
                  at_least: int = 2) -> dict[str, list[Row]]:
    """By prompt, in hash order, the first `n` candidates by id; prompts with fewer than `at_least` are left out.

    Raises ConfigError where nothing is left.
    """
    found: dict[str, list[Row]] = {}
    for row in warehouse.rows(_CANDIDATES, [generator_id, task, source, domain, domain]):
        found.setdefault(row["prompt_id"], []).append(row)
    chosen = [prompt for prompt in sorted(found, key=lambda item: content_id("choose", item, 0))
              if len(found[prompt]) >= at_least][:limit or None]
    if not chosen:
        raise ConfigError(f"generator {generator_id!r} has no {task} prompts of source {source!r} with {at_least} "
                          "candidates", hint="run the stage candidates for these prompts first")
    return {prompt: found[prompt][:n] for prompt in chosen}


def judge_id(warehouse: Warehouse, model: str) -> str:
    """The reward model's id, which follows from its weights; a folder may be given instead of an id."""
    return read_card(find_model(warehouse, model)).model_id


def candidate_digest(found: dict[str, list[Row]]) -> str:
    """One hash over prompts and candidates in order."""
    return content_id("ranked", canonical_json([[row["candidate_id"] for row in rows] for rows in found.values()]))


def run(config: ReferenceConfig, warehouse: Warehouse) -> Receipt:
    """Rank what is not ranked yet, a few prompts a commit; outputs rank_key and prompts."""
    found = candidates_of(warehouse, config.generator_id, config.task, config.source, config.domain, config.n,
                          config.limit)
    inputs = {"candidates": candidate_digest(found), "reward_model": judge_id(warehouse, config.reward_model)}
    rank_key = content_id("references", canonical_json(config.identity()), canonical_json(inputs))

    def body(recorder: Recorder) -> None:
        done = {row["prompt_id"] for row in warehouse.rows(
            "SELECT DISTINCT prompt_id FROM reference_ranks WHERE starts_with(rank_id, ?)", [f"{rank_key}-"])}
        todo = [prompt for prompt in found if prompt not in done]
        recorder.count("read", len(found))
        recorder.count("already_there", len(done))
        recorder.count("candidates", sum(len(rows) for rows in found.values()))
        model = load_reward_model(warehouse, config.reward_model) if todo else None
        for start in range(0, len(todo), _COMMIT_PROMPTS):
            chunk = todo[start:start + _COMMIT_PROMPTS]
            rows = [row for prompt in chunk for row in _rank(config, warehouse, model, rank_key, found[prompt])]
            recorder.count("references", warehouse.merge("reference_ranks", rows, run_id=recorder.run_id))
            recorder.progress(len(done) + start + len(chunk), len(found), "best of N")
        recorder.output("rank_key", rank_key)
        recorder.output("prompts", len(found))

    return run_stage("references", config, warehouse, inputs, body)


def _rank(config: ReferenceConfig, warehouse: Warehouse, model: RewardModel | None, rank_key: str,
          rows: list[Row]) -> list[Row]:
    """The k best of one prompt as rows. Every prompt is judged by itself: a resumed run makes the same batches."""
    assert model is not None
    frames = [frames_of(warehouse.media.get(row["media_id"]), model.card.max_frames) for row in rows]
    comparer = PromptComparer(model, rows[0]["text"], config.task, config.dimension)
    standings = METHODS[config.method](comparer, frames)[:config.k]
    return [{"rank_id": f"{rank_key}-{content_id(rows[item.index]['candidate_id'])[:16]}",
             "model_id": model.model_id, "prompt_id": rows[0]["prompt_id"],
             "candidate_id": rows[item.index]["candidate_id"], "rank": item.rank, "wins": item.wins,
             "comparisons": item.comparisons} for item in standings]


_GOALS = """
SELECT r.prompt_id, p.text, c.media_id FROM reference_ranks r JOIN prompts p USING (prompt_id)
JOIN candidates c USING (candidate_id) WHERE starts_with(r.rank_id, ?) AND p.task = ? ORDER BY r.prompt_id, r.rank
"""


def read_goals(warehouse: Warehouse, rank_key: str, task: str, max_frames: int) -> list[Goal]:
    """Goals of a rank key in hash order, references decoded, best first; raises ConfigError where there are none."""
    media: dict[str, list[Row]] = {}
    for row in warehouse.rows(_GOALS, [f"{rank_key}-", task]):
        media.setdefault(row["prompt_id"], []).append(row)
    if not media:
        raise ConfigError(f"no references {rank_key!r} for {task}", hint="give the rank_key of a references stage")
    return [Goal(prompt, media[prompt][0]["text"],
                 tuple(frames_of(warehouse.media.get(row["media_id"]), max_frames) for row in media[prompt]))
            for prompt in sorted(media, key=lambda item: content_id("choose", item, 0))]
