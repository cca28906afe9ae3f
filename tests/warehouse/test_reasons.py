"""Whose reasons a sample carries."""

from __future__ import annotations

from datetime import datetime

from tests.warehouse.preference_rows import CONSENSUS, World, config
from warehouse import Warehouse
from warehouse.datasets import build
from warehouse.datasets.recipe import SPLITS
from warehouse.records import instruction_row, rationale_row, vote_row
from warehouse.shards import open_split


def test_reasons_of_other_campaigns_votes_are_left_out(warehouse: Warehouse) -> None:
    """A placebo asked about the same pair: its reasons change nothing, those given with both campaigns' votes stay."""
    world = World(warehouse)
    world.row("consensus_runs", {"consensus_id": CONSENSUS, "method": "majority", "agreement_json": "{}",
                                 "params_json": '{"campaign_ids": ["ours"], "vote_sources": ["imported"]}'})
    world.row("instructions", instruction_row("t2i", "overall", 1, "pairwise", "is two better ?"))
    expected = {}
    for number, given in enumerate((["ours"], ["placebo"], ["placebo", "ours"], [], ["imported"])):
        pair = world.pair(f"reason {number}", number)
        world.votes(pair, "overall", 1.0)
        reason = world.row("rationales", rationale_row(pair, "overall", "a", f"said {number}", "human", "someone"))
        for place, campaign in enumerate(given):
            source = "imported" if campaign == "imported" else "simulation"
            task = f"task {number} {place}" if campaign != "imported" else None
            when = datetime(2026, 1, 1 + place)
            vote = vote_row(task, pair, "overall", f"rater {place}", "a", source, when)
            world.row("votes", vote | {"rationale_id": reason["rationale_id"]})
            if task:
                world.row("annotation_tasks", {"task_id": task, "campaign_id": campaign, "pair_id": pair})
        expected[pair] = "" if given == ["placebo"] else f"said {number}"
    world.save()
    build.run(config(name="reasons"), warehouse)
    found = {sample.facts["pair_id"]: sample.rationale for split in SPLITS
             for sample in open_split(warehouse.root, "reasons", 1, split)}
    assert found == expected
    card = warehouse.rows("SELECT card FROM dataset_versions WHERE name = 'reasons'")[0]["card"]
    assert "## Votes behind the consensus\n\n| annotator kind | n |\n|---|---|\n| unknown | 3 |\n" in card
    # Raters of no known kind voted: a recipe of human votes leaves out their pairs where they were asked for it.
    build.run(config(name="human", annotator_kinds=("human",)), warehouse)
    kept = {sample.facts["pair_id"] for split in SPLITS for sample in open_split(warehouse.root, "human", 1, split)}
    assert kept == {pair for pair, said in expected.items() if said in ("", "said 3")}
