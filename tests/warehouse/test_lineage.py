from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.warehouse.two_versions import Ids
from warehouse import Warehouse
from warehouse.errors import InvalidInputError, NotFoundError
from warehouse.lineage import KINDS, Node, find, sources, uses

_MADE = {"reward", "reference_rank", "evaluation"}


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _nodes(child)


def _kinds(node: Node) -> set[str]:
    return {one.kind for one in _nodes(node)}


def test_from_a_reward_to_raters_prompts_and_pictures(calm: Warehouse, ids: Ids) -> None:
    tree = sources(calm, "reward-1", limit=100)
    assert _kinds(tree) == KINDS.keys() - (_MADE - {"reward"})
    assert set(ids.raters.values()) <= {node.id for node in _nodes(tree)}
    # The reward model learned from version 1, and nothing is behind that which came after it.
    assert ids.late_rater not in {node.id for node in _nodes(tree)}
    shown = {node.id for node in _nodes(tree) if node.kind == "dataset"}
    assert shown == {"calm@1"}


def test_from_a_rater_to_every_model_and_back(calm: Warehouse, ids: Ids) -> None:
    tree = uses(calm, ids.raters["dov"], limit=100)
    assert {"vote", "preference", "sample", "shard", "dataset", "model", "reward", "rationale"} <= _kinds(tree)
    found = {node.id for node in _nodes(tree)}
    assert {"rm-1", "policy-1", "reward-1", "rank-1", "evaluation-1", "calm@1", "calm@2", ids.rationale} <= found


def test_votes_that_no_consensus_read_are_behind_no_preference(mine: Warehouse, ids: Ids) -> None:
    """Another campaign asked the same rater about the same pair: a placebo, for example."""
    vote = mine.rows("SELECT * FROM votes WHERE annotator_id = ? ORDER BY vote_id LIMIT 1", [ids.raters["ada"]])[0]
    mine.merge("votes", [{**vote, "vote_id": "vote-elsewhere", "source": "campaign:placebo"}])
    assert {node.kind for node in _nodes(uses(mine, "vote-elsewhere"))} == {"vote"}
    assert "preference" in _kinds(uses(mine, vote["vote_id"]))


def test_every_kind_of_id_is_found(calm: Warehouse) -> None:
    for kind, (table, sql) in KINDS.items():
        record_id = calm.rows(f"SELECT {sql} AS id FROM {table} ORDER BY 1 LIMIT 1")[0]["id"]
        assert find(calm, record_id)[0] == kind


def test_a_record_has_its_children_once(calm: Warehouse) -> None:
    tree = sources(calm, "calm@2", limit=100)
    grown = [(node.kind, node.id) for node in _nodes(tree) if not node.repeated]
    assert len(grown) == len(set(grown)) and not any(node.children for node in _nodes(tree) if node.repeated)


def test_the_limit_counts_what_it_leaves_out(calm: Warehouse, ids: Ids) -> None:
    votes = calm.rows("SELECT count(*) AS n FROM votes WHERE annotator_id = ?", [ids.raters["ada"]])[0]["n"]
    tree = uses(calm, ids.raters["ada"], limit=1)
    assert (len(tree.children), tree.more) == (1, votes - 1)
    assert set(tree.as_dict()) == {"kind", "id", "facts", "children", "more", "repeated"}


def test_unknown_ids(calm: Warehouse) -> None:
    with pytest.raises(NotFoundError):
        sources(calm, "nothing")
    with pytest.raises(InvalidInputError):
        uses(calm, "reward-1", limit=0)
