"""Pass and fail: votes on single candidates, pairs across prompts built from them, agreement beside that of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation import items, pairing, schemes
from annotation.cross_prompt import cross_pairs
from annotation.items import ItemConfig, ItemTask, ItemVote
from annotation.schemes import PassFailConfig, agreement_of
from tests.annotation.world import START, candidates, store_votes, vote
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.records import Row


class Inspectors:
    """The first candidate of each prompt passes, the second fails; the third rater fails everything."""

    rater_kind = "scripted"

    def __init__(self, warehouse: Warehouse, odd: bool = False) -> None:
        self.tasks: list[ItemTask] = []
        self._odd = odd
        rows = warehouse.rows("SELECT candidate_id, seed FROM candidates")
        self._good = {row["candidate_id"]: row["seed"] % 2 == 0 for row in rows}

    def publish_items(self, tasks: Sequence[ItemTask]) -> list[str]:
        self.tasks += tasks
        return [task.task_id for task in tasks]

    def pull_items(self) -> list[ItemVote]:
        votes = [ItemVote(task.task_id, name, f"rater {task.replica}",
                          "pass" if self._good[task.candidate_id] and task.replica < 2 else "fail", START, 2.0)
                 for task in self.tasks for name in task.dimensions]
        wrong: list[dict[str, Any]] = [{"task_id": "no"}, {"dimension": "no"}, {"label": "a"}, {"rater": " "}]
        base = {"task_id": self.tasks[0].task_id, "dimension": "overall", "rater": "x", "label": "pass",
                "created_at": START}
        return [*votes, *(ItemVote(**(base | item)) for item in wrong if self._odd)]


def _config(**more: Any) -> ItemConfig:
    return ItemConfig(**{"name": "look", "backend": "tests.annotation.test_items:Inspectors"} | more)


def test_items_are_judged_once_and_paired_across_prompts(warehouse: Warehouse) -> None:
    with pytest.raises(ConfigError, match="no t2i candidates"):
        items.run(_config(), warehouse)
    candidates(warehouse, prompts=4, each=2)
    first = items.run(_config(backend_options={"odd": True}), warehouse)
    assert first.counts["votes"] == 24 and set(first.rejected) == {"unknown_task", "unknown_dimension", "unknown_label",
                                                                   "no_annotator"}
    assert not items.run(_config(backend_options={"odd": True}), warehouse).changed
    with pytest.raises(ConfigError, match="by motion_quality"):
        pairing.run(pairing.PairingConfig(strategy="cross_prompt", dimension="motion_quality"), warehouse)
    cross = pairing.PairingConfig(strategy="cross_prompt", pairs_per_prompt=2, tie_share=0.2)
    assert pairing.run(cross, warehouse).counts["pairs"] == 10
    rows = warehouse.rows("SELECT * FROM pairs")
    assert all(row["prompt_b_id"] not in (None, row["prompt_id"]) for row in rows)
    done = schemes.run(PassFailConfig(), warehouse)
    assert done.outputs["n_pairs"] == 10 and not schemes.run(PassFailConfig(), warehouse).changed
    seed = {row["candidate_id"]: row["seed"] for row in warehouse.rows("SELECT candidate_id, seed FROM candidates")}
    chances = {row["pair_id"]: row["p_a"] for row in warehouse.rows("SELECT pair_id, p_a FROM preferences")}
    for row in rows:
        # (2.5 of 4 passed) against (0.5 of 4): half of the difference above one half.
        lead = (seed[row["candidate_b"]] % 2 - seed[row["candidate_a"]] % 2) * 0.25
        assert chances[row["pair_id"]] == pytest.approx(0.5 + lead)


def test_both_schemes_side_by_side(warehouse: Warehouse) -> None:
    candidates(warehouse, prompts=3, each=2)
    items.run(_config(), warehouse)
    with pytest.raises(ConfigError, match="passed or failed"):
        schemes.run(PassFailConfig(task="t2v"), warehouse)
    store_votes(warehouse, [vote(f"p{pair}", f"r{k}", "a" if pair else "b") for pair in range(3) for k in range(3)])
    both = schemes.run(PassFailConfig(), warehouse).outputs["agreement"]["overall"]
    assert both["pairs"]["alpha"] == 1.0 and both["pairs"]["raw"] == 1.0 and both["pairs"]["votes"] == 9
    # Two of three on each good item, all on each bad one: one couple in three agrees, then all.
    assert both["items"]["raw"] == pytest.approx((1 / 3 + 1) / 2, abs=1e-6) and both["items"]["judged"] == 6


def test_one_vote_an_item_has_no_agreement() -> None:
    import numpy as np

    assert agreement_of(np.array([[1, 0], [0, 1]])) == {"alpha": None, "ci": None, "raw": None, "votes": 2, "judged": 0}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=14), st.integers(1, 3),
       st.randoms())
def test_pairs_across_prompts_do_not_depend_on_order(shown, each, random) -> None:  # type: ignore[no-untyped-def]
    """Items are (prompt, votes of 3 that passed)."""
    rows: list[Row] = [{"candidate_id": f"c{index:02d}", "prompt_id": f"p{prompt}", "media_id": f"m{index}",
                        "task": "t2i"} for index, (prompt, _) in enumerate(shown)]
    verdicts = {f"c{index:02d}": (passed, 3) for index, (_, passed) in enumerate(shown)}
    made = cross_pairs(rows, verdicts, each, 0.25, 0)
    mixed = rows[:]
    random.shuffle(mixed)
    assert cross_pairs(mixed, verdicts, each, 0.25, 0) == made
    assert len({row["pair_id"] for row in made}) == len(made)
    for row in made:
        passed = [verdicts[row[name]][0] for name in ("candidate_a", "candidate_b")]
        assert row["prompt_id"] != row["prompt_b_id"] and max(passed) >= 2
