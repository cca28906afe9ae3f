from __future__ import annotations

from datetime import datetime

import pytest

from warehouse import Warehouse
from warehouse.errors import InvalidInputError, NotFoundError
from warehouse.lineage import Node, sources, uses
from warehouse.records import annotator_row, candidate_row, generator_row, pair_row, prompt_row, vote_row


def _fill(warehouse: Warehouse) -> dict[str, str]:
    prompt, generator = prompt_row("a red ball", "t2i", "image", "test"), generator_row("g", "tiny", "1")
    x, y = (candidate_row(prompt["prompt_id"], generator["generator_id"], None, s, {}, "t2i", "test") for s in (0, 1))
    pair = pair_row(prompt["prompt_id"], x["candidate_id"], y["candidate_id"], "t2i", "random", "test")
    assert pair == pair_row(prompt["prompt_id"], y["candidate_id"], x["candidate_id"], "t2i", "random", "test")
    rater = annotator_row("human", "ann")
    vote = vote_row(None, pair["pair_id"], "overall", rater["annotator_id"], "a", "test", datetime(2026, 1, 1))
    preference = {"preference_id": "pref", "pair_id": pair["pair_id"], "dimension": "overall"}
    sample = {"name": "d", "version": 1, "sample_key": "key", "preference_id": "pref"}
    model = {"model_id": "rm", "dataset_name": "d", "dataset_version": 1}
    reward = {"reward_id": "rew", "model_id": "rm", "candidate_id": x["candidate_id"]}
    rows = {"prompts": prompt, "generators": generator, "pairs": pair, "annotators": rater, "votes": vote}
    rows |= {"preferences": preference, "samples": sample, "models": model, "rewards": reward}
    with warehouse.commit():
        warehouse.merge("candidates", [x, y])
        for table, row in rows.items():
            warehouse.merge(table, [row])
    return {"annotator": rater["annotator_id"], "prompt": prompt["prompt_id"]}


def _ids(node: Node) -> set[tuple[str, str]]:
    return {(node.kind, node.id)}.union(*(_ids(child) for child in node.children))


def test_from_a_reward_to_the_rater_and_back(warehouse: Warehouse) -> None:
    ids = _fill(warehouse)
    assert {("annotator", ids["annotator"]), ("prompt", ids["prompt"])} <= _ids(sources(warehouse, "rew"))
    assert {("model", "rm"), ("reward", "rew"), ("sample", "key")} <= _ids(uses(warehouse, ids["annotator"]))
    assert sources(warehouse, "rew").as_dict()["kind"] == "reward"


def test_the_limit_counts_what_it_leaves_out(warehouse: Warehouse) -> None:
    ids = _fill(warehouse)
    tree = uses(warehouse, ids["prompt"], limit=1)
    assert (len(tree.children), tree.more) == (1, 1)


def test_unknown_ids(warehouse: Warehouse) -> None:
    with pytest.raises(NotFoundError):
        sources(warehouse, "nothing")
    with pytest.raises(InvalidInputError):
        uses(warehouse, "nothing", limit=0)
