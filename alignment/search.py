"""Stage `search`: best of N at test time among candidates that exist, chosen by the reward model.

RewardDance scales at test time with its pointwise form (arXiv 2509.08826, Sec. 3.4); the pairwise form used here
compares every candidate of a prompt with the first two, in both orders, and takes the highest mean P(yes). N = 1 is
the first candidate. One set of comparisons serves every N. Search over paths within a trajectory is left out.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from alignment.references import PromptComparer, candidate_digest, candidates_of, judge_id
from alignment.tournament import compare
from rm.reward_model import RewardModel, frames_of, load_reward_model
from warehouse import Warehouse
from warehouse.hashing import canonical_json, content_id
from warehouse.records import Row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

ANCHORS = 2
_COMMIT_PROMPTS = 16


class SearchConfig(StageConfig):
    """Which candidates (generator, prompts by task, source and, where given, domain) and which values of N.

    Prompts with fewer candidates than the largest N are left out.
    """

    generator_id: str
    reward_model: str = Field(json_schema_extra={"place": True})
    task: str = "t2i"
    dimension: str = "overall"
    source: str = "held_out"
    domain: str = ""
    n: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1, 4, 16), min_length=1)
    limit: int = Field(default=0, ge=0)


def run(config: SearchConfig, warehouse: Warehouse) -> Receipt:
    """Write a row of `rewards` for each candidate and anchor; outputs search_key, prompts, n."""
    found = candidates_of(warehouse, config.generator_id, config.task, config.source, config.domain, max(config.n),
                          config.limit, max(2, *config.n))
    inputs = {"candidates": candidate_digest(found), "reward_model": judge_id(warehouse, config.reward_model)}
    search_key = content_id("search", canonical_json(config.identity()), canonical_json(inputs))

    def body(recorder: Recorder) -> None:
        done = {row["prompt_id"] for row in warehouse.rows(
            "SELECT DISTINCT prompt_id FROM rewards WHERE starts_with(reward_id, ?)", [f"{search_key}-"])}
        todo = [prompt for prompt in found if prompt not in done]
        recorder.count("read", len(found))
        recorder.count("already_there", len(done))
        model = load_reward_model(warehouse, config.reward_model) if todo else None
        for start in range(0, len(todo), _COMMIT_PROMPTS):
            chunk = todo[start:start + _COMMIT_PROMPTS]
            rows = [row for prompt in chunk for row in _judge(config, warehouse, model, search_key, found[prompt])]
            recorder.count("rewards", warehouse.merge("rewards", rows, run_id=recorder.run_id))
            recorder.progress(len(done) + start + len(chunk), len(found), "best of N")
        recorder.output("search_key", search_key)
        recorder.output("prompts", len(found))
        recorder.output("n", list(config.n))

    return run_stage("search", config, warehouse, inputs, body)


def _judge(config: SearchConfig, warehouse: Warehouse, model: RewardModel | None, search_key: str,
           rows: list[Row]) -> list[Row]:
    """One row for each candidate and each other anchor: P(candidate beats anchor) and the orders' disagreement."""
    assert model is not None
    frames = [frames_of(warehouse.media.get(row["media_id"]), model.card.max_frames) for row in rows]
    pairs = [(i, j) for i in range(len(rows)) for j in range(min(ANCHORS, len(rows))) if i != j]
    comparer = PromptComparer(model, rows[0]["text"], config.task, config.dimension)
    values, disagreements = compare(comparer, frames, pairs)
    return [{"reward_id": f"{search_key}-{content_id(rows[i]['candidate_id'], rows[j]['candidate_id'])[:16]}",
             "model_id": model.model_id, "prompt_id": rows[i]["prompt_id"],
             "candidate_id": rows[i]["candidate_id"], "reference_id": rows[j]["candidate_id"],
             "dimension": config.dimension, "value": float(value), "uncertainty": float(disagreement)}
            for (i, j), value, disagreement in zip(pairs, values, disagreements, strict=True)]


def chosen(warehouse: Warehouse, search_key: str, n: int) -> dict[str, str]:
    """Candidate id by prompt id: the best of the first `n` candidates (by id) of each prompt; ties to the earlier.

    An anchor against itself counts one half, so that anchors and the rest are on one scale.
    """
    rows = warehouse.rows(
        "SELECT prompt_id, candidate_id, sum(value) AS total, count(*) AS met FROM rewards"
        " WHERE starts_with(reward_id, ?) GROUP BY ALL ORDER BY prompt_id, candidate_id", [f"{search_key}-"])
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["prompt_id"], []).append(row)
    best: dict[str, str] = {}
    for prompt, candidates in found.items():
        most = max(row["met"] for row in candidates)
        scores = [(row["total"] + 0.5 * (most - row["met"])) / most for row in candidates[:n]]
        best[prompt] = candidates[scores.index(max(scores))]["candidate_id"]
    return best
