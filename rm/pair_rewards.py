"""Stage `pair_rewards`: a reward model's P(yes) of the couples of each prompt, as rows that pairing can read.

Each couple is asked in both orders; the value is the mean of their log-odds, the uncertainty half of their
disagreement, in log-odds: a model that changes its mind with the order does not know.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from rm.reward_model import PairItem, RewardModel, frames_of, load_reward_model
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import content_id
from warehouse.records import Row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_PROMPTS = """
SELECT c.prompt_id, any_value(p.text) AS prompt, list(c.candidate_id ORDER BY c.candidate_id)[1:?] AS candidates,
  list(c.media_id ORDER BY c.candidate_id)[1:?] AS media
FROM candidates c JOIN prompts p USING (prompt_id)
WHERE c.task = ? AND (? = '' OR c.source = ?) AND c.media_id IS NOT NULL AND c.prompt_id > ?
GROUP BY 1 ORDER BY 1 LIMIT 50
"""


class PairRewardConfig(StageConfig):
    """A reward model and the candidates of a task and source; at most `per_prompt` of a prompt, by id."""

    reward_model: str
    task: str = "t2i"
    dimension: str = "overall"
    source: str = ""
    per_prompt: int = Field(default=8, ge=2)


def _judged(model: RewardModel, config: PairRewardConfig, warehouse: Warehouse, prompt: Row) -> list[Row]:
    frames = [frames_of(warehouse.media.get(name), model.max_frames, name) for name in prompt["media"]]
    couples = list(itertools.combinations(range(len(frames)), 2))
    items = [PairItem(prompt["prompt"], frames[other], frames[one], config.task, config.dimension)
             for i, j in couples for one, other in ((i, j), (j, i))]
    chance = np.clip(model.score_pairs(items).astype(np.float64), 1e-6, 1 - 1e-6).reshape(-1, 2)
    odds = np.log(chance / (1.0 - chance))
    lead, doubt = (odds[:, 0] - odds[:, 1]) / 2, np.abs(odds[:, 0] + odds[:, 1]) / 2
    names: Sequence[str] = prompt["candidates"]
    return [{"reward_id": content_id("pair reward", model.model_id, config.dimension, names[i], names[j]),
             "model_id": model.model_id, "prompt_id": prompt["prompt_id"], "candidate_id": names[i],
             "reference_id": names[j], "dimension": config.dimension, "value": float(1 / (1 + np.exp(-lead[at]))),
             "uncertainty": float(doubt[at])} for at, (i, j) in enumerate(couples)]


def run(config: PairRewardConfig, warehouse: Warehouse) -> Receipt:
    """Write rewards; outputs `reward_model`, the id for pairing. Raises ConfigError where no prompt has two."""
    model = load_reward_model(warehouse, config.reward_model)
    listed = warehouse.digest("SELECT candidate_id FROM candidates WHERE task = ? AND (? = '' OR source = ?) "
                              "AND media_id IS NOT NULL", [config.task, config.source, config.source])

    def body(recorder: Recorder) -> None:
        after, most = "", config.per_prompt
        while prompts := warehouse.rows(_PROMPTS, [most, most, config.task, config.source, config.source, after]):
            after = prompts[-1]["prompt_id"]
            asked = [prompt for prompt in prompts if len(prompt["candidates"]) > 1]
            rows = [row for prompt in asked for row in _judged(model, config, warehouse, prompt)]
            recorder.count("rewards", warehouse.merge("rewards", rows, run_id=recorder.run_id))
            recorder.count("read", len(asked))
        if not recorder.counts["read"]:
            raise ConfigError(f"no prompt has two {config.task} candidates", hint="generate or ingest candidates first")
        recorder.output("reward_model", model.model_id)

    return run_stage("pair_rewards", config, warehouse, {"candidates": listed, "model": model.model_id}, body)
