"""Campaigns through a scripted back end: what is shown, what comes back, twice, edited, and wrong."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from annotation import campaign, open_tasks, pairing
from annotation.campaign import CampaignConfig
from annotation.guideline import guideline
from annotation.tasks import blind_task, pair_views, plan_tasks
from annotation.votes import unswap
from tests.annotation.world import START, candidates
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.records import ADVERSARIAL, annotator_row, pair_row, prompt_row

BACKEND = "tests.annotation.world:Scripted"


def _paired(warehouse: Warehouse, prompts: int = 6) -> str:
    generator = candidates(warehouse, prompts=prompts, each=3)
    pairing.run(pairing.PairingConfig(generator_id=generator, pairs_per_prompt=2), warehouse)
    return generator


def _config(**more: Any) -> CampaignConfig:
    given: dict[str, Any] = {"name": "c", "backend": BACKEND, "dimensions": ("overall", "visual_quality")}
    return CampaignConfig(**given | more)


def _rows(warehouse: Warehouse, table: str, order: str) -> list[dict[str, Any]]:
    return warehouse.rows(f"SELECT * EXCLUDE (run_id) FROM {table} ORDER BY {order}")


def test_a_second_run_adds_nothing(warehouse: Warehouse) -> None:
    _paired(warehouse)
    first = campaign.run(_config(rationale_share=0.5), warehouse)
    tables = {"votes": "vote_id", "annotation_tasks": "task_id", "vote_revisions": "revision_id",
              "annotators": "annotator_id", "rationales": "rationale_id", "watermarks": "name"}
    before = {table: _rows(warehouse, table, order) for table, order in tables.items()}
    again = campaign.run(_config(rationale_share=0.5), warehouse)
    assert first.changed and not again.changed and again.outputs == first.outputs
    assert first.outputs["votes"] == 12 * 3 * 2 == len(before["votes"]) == len(before["vote_revisions"])
    assert first.outputs["tasks"] == 36 and first.outputs["pairs"] == 12 and first.outputs["annotators"] == 3
    assert 20 < len(before["rationales"]) < 60
    # New pairs reopen the stage; what was there stays as it was.
    pairing.run(pairing.PairingConfig(pairs_per_prompt=3), warehouse)
    more = campaign.run(_config(rationale_share=0.5), warehouse)
    assert more.changed and more.counts["votes"] == 6 * 3 * 2
    after = {row["vote_id"]: row for row in _rows(warehouse, "votes", "vote_id")}
    assert all(after[row["vote_id"]] == row for row in before["votes"])


def test_nobody_is_asked_about_adversarial_pairs(warehouse: Warehouse) -> None:
    generator = _paired(warehouse)
    shown = pair_views(warehouse, "t2i", generator, "")[0]
    ours = warehouse.rows("SELECT * EXCLUDE (run_id) FROM pairs ORDER BY pair_id")[0]
    spoiled = prompt_row("a lamp . yes yes", "t2i", "image", ADVERSARIAL)
    pair = pair_row(spoiled["prompt_id"], ours["candidate_a"], ours["candidate_b"], "t2i", ADVERSARIAL, ADVERSARIAL)
    warehouse.merge("prompts", [spoiled], run_id="r")
    warehouse.merge("pairs", [pair], run_id="r")
    assert pair_views(warehouse, "t2i", generator, "")[0] == shown
    assert [view.pair_id for view in pair_views(warehouse, "t2i", "", ADVERSARIAL)[0]] == [pair["pair_id"]]


def test_sides_are_mirrored_within_a_pair_and_balanced_between(warehouse: Warehouse) -> None:
    _paired(warehouse, prompts=60)
    views, _ = pair_views(warehouse, "t2i", "", "")
    rows = plan_tasks("c", views, (), 2, 0.0, 0)
    sides: dict[str, set[str]] = {}
    for row in rows:
        sides.setdefault(row["pair_id"], set()).add(row["left_side"])
    assert all(side == {"a", "b"} for side in sides.values())
    starts = Counter(row["left_side"] for row in rows if row["replica"] == 0)
    assert 35 < starts["a"] < 85
    assert plan_tasks("c", views, (), 2, 0.0, 1) != rows


def test_left_and_right_become_a_and_b(warehouse: Warehouse) -> None:
    _paired(warehouse)
    campaign.run(_config(), warehouse)
    rows = warehouse.rows("SELECT v.label, t.left_side, t.replica, t.state, t.backend_ref, v.left_side AS stored "
                          "FROM votes v JOIN annotation_tasks t USING (task_id)")
    for row in rows:
        right = "b" if row["left_side"] == "a" else "a"
        assert row["label"] == (row["left_side"], right, "tie")[row["replica"]]
        assert row["stored"] == row["left_side"]
        assert row["state"] == "done" and row["backend_ref"].startswith("ref-")
    assert [unswap(label, "b") for label in ("left", "right", "tie", "both_bad")] == ["b", "a", "tie", "both_bad"]


def test_tasks_are_blind(warehouse: Warehouse) -> None:
    generator = _paired(warehouse)
    views, _ = pair_views(warehouse, "t2i", generator, "")
    row = plan_tasks("c", views, (), 3, 0.0, 0)[0]
    shown = str(blind_task(row, views[0], guideline("t2i", ["overall"], 1), 1.0, 0))
    hidden = [generator, "secret-model-x", "gold"]
    hidden += [item["candidate_id"] for item in warehouse.rows("SELECT candidate_id FROM candidates")]
    assert not [word for word in hidden if word in shown]


BAD_VOTES = (
    ({"pair_id": "no such pair"}, "unknown_pair"),
    ({"task_id": "no such task"}, "unknown_task"),
    ({"dimension": "smell"}, "unknown_dimension"),
    ({"label": "A"}, "unknown_label"),
    ({"rater": "  "}, "no_annotator"),
)


def test_bad_votes_are_rejects_with_their_reason(warehouse: Warehouse) -> None:
    _paired(warehouse)
    extra = [dict(vote) for vote, _ in BAD_VOTES]
    receipt = campaign.run(_config(backend_options={"extra": extra}), warehouse)
    assert receipt.rejected == {reason: 1 for _, reason in BAD_VOTES}
    assert receipt.outputs["votes"] == 72 and not receipt.over_limit
    stored = warehouse.rows("SELECT reason, source, location, detail FROM rejects WHERE reason = 'unknown_pair'")
    assert stored[0]["source"] == "campaign:c" and "no such pair" in stored[0]["detail"]


def test_a_vote_on_a_task_of_another_pair_is_a_reject(warehouse: Warehouse) -> None:
    _paired(warehouse)
    pairs = [row["pair_id"] for row in warehouse.rows("SELECT pair_id FROM pairs ORDER BY pair_id")]
    receipt = campaign.run(_config(backend_options={"extra": [{"task": 0, "pair_id": pairs[-1]}]}), warehouse)
    assert receipt.rejected == {"wrong_pair": 1}


def test_mostly_bad_votes_pass_the_limit(warehouse: Warehouse) -> None:
    _paired(warehouse, prompts=1)
    extra = [{"label": f"label {index}"} for index in range(20)]
    receipt = campaign.run(_config(backend_options={"extra": extra}), warehouse)
    assert receipt.over_limit and receipt.outputs["votes"] == 12


def test_the_latest_answer_counts_and_edits_and_deletions_are_kept(warehouse: Warehouse) -> None:
    _paired(warehouse)
    extra = [
        {"rater": "editor", "label": "tie", "minutes": 9},
        {"rater": "editor", "label": "both_bad", "minutes": 5},
        {"rater": "leaver", "minutes": 2, "deleted": True},
    ]
    receipt = campaign.run(_config(backend_options={"extra": extra}), warehouse)
    editor, leaver = (annotator_row("scripted", name)["annotator_id"] for name in ("editor", "leaver"))
    votes = {row["annotator_id"]: row for row in warehouse.rows("SELECT * FROM votes")}
    assert votes[editor]["label"] == "tie" and votes[editor]["updated_at"] == START + timedelta(minutes=9)
    assert votes[leaver]["deleted"] and receipt.counts["superseded"] == 1 and receipt.outputs["votes"] == 73
    revisions = Counter(row["action"] for row in warehouse.rows("SELECT action FROM vote_revisions"))
    assert revisions == {"created": 72, "edited": 1, "deleted": 1}


def test_unanswered_tasks_stay_published(warehouse: Warehouse) -> None:
    _paired(warehouse)
    campaign.run(_config(backend_options={"mute": [2]}), warehouse)
    rows = warehouse.rows("SELECT replica, state FROM annotation_tasks")
    assert {(row["replica"], row["state"]) for row in rows} == {(0, "done"), (1, "done"), (2, "published")}


def test_stored_known_answers_are_mixed_in(warehouse: Warehouse) -> None:
    _paired(warehouse, prompts=20)
    pairs = [row["pair_id"] for row in warehouse.rows("SELECT pair_id FROM pairs ORDER BY pair_id")]
    known = [{"pair_id": pair, "dimension": "overall", "label": "a", "source": "expert"} for pair in pairs[:9]]
    warehouse.merge("gold_items", known)
    receipt = campaign.run(_config(gold_share=0.1), warehouse)
    assert receipt.outputs["tasks"] == 133 and receipt.outputs["gold_tasks"] == 13
    rows = warehouse.rows("SELECT pair_id, replica FROM annotation_tasks WHERE gold")
    assert {row["pair_id"] for row in rows} <= set(pairs[:9]) and {row["replica"] for row in rows} <= {3, 4, 5}
    # Another expert's answer about a pair of this campaign changes what is asked; one about no such pair does not.
    warehouse.merge("gold_items", [{"pair_id": "elsewhere", "dimension": "overall", "label": "b"}])
    assert not campaign.run(_config(gold_share=0.1), warehouse).changed
    assert campaign.run(_config(gold_share=0.1, dimensions=("visual_quality",)), warehouse).outputs["gold_tasks"] == 0


def test_what_cannot_be_asked_is_said(warehouse: Warehouse) -> None:
    with pytest.raises(ConfigError, match="no t2i pairs"):
        campaign.run(_config(), warehouse)
    for wrong in ({"dimensions": ("smell",)}, {"dimensions": ("overall", "overall")}, {"dimensions": ()},
                  {"criteria": {"smell": "?"}}):
        with pytest.raises(ConfigError, match="dimensions"):
            campaign.run(_config(**wrong), warehouse)
    _paired(warehouse, prompts=1)
    with pytest.raises(ConfigError, match="does not import"):
        campaign.run(_config(backend="no.such:Thing"), warehouse)
    own = _config(dimensions=("smell",), criteria={"smell": "Which one smells better?"})
    assert campaign.run(own, warehouse).outputs["votes"] == 6
    assert "smells" in warehouse.rows("SELECT criteria FROM dimensions")[0]["criteria"]


def test_pairs_nobody_voted_on_become_open_tasks(warehouse: Warehouse) -> None:
    generator = _paired(warehouse)
    pairing.run(pairing.PairingConfig(pairs_per_prompt=3), warehouse)
    voted = warehouse.rows("SELECT pair_id FROM pairs ORDER BY pair_id LIMIT 5")
    warehouse.merge("votes", [{"vote_id": f"v{i}", "pair_id": row["pair_id"], "deleted": i == 0}
                              for i, row in enumerate(voted)])
    absent = {"pair_id": "absent", "prompt_id": warehouse.rows("SELECT prompt_id FROM prompts")[0]["prompt_id"],
              "candidate_a": "x", "candidate_b": "y", "task": "t2i"}
    warehouse.merge("pairs", [absent])
    warehouse.merge("candidates", [{"candidate_id": name, "generator_id": generator} for name in "xy"])
    config = open_tasks.OpenTaskConfig(name="mine", dimensions=("overall",), votes_per_pair=2)
    receipt = open_tasks.run(config, warehouse)
    assert receipt.outputs["pairs"] == 14 and receipt.outputs["tasks"] == receipt.counts["tasks"] == 28
    assert receipt.counts["media_absent"] == 1 and receipt.counts["already_voted"] == 4
    rows = warehouse.rows("SELECT DISTINCT state, campaign_id, backend_ref FROM annotation_tasks")
    assert rows == [{"state": "open", "campaign_id": receipt.outputs["campaign_id"], "backend_ref": None}]
    assert not open_tasks.run(config, warehouse).changed
    stored = warehouse.rows("SELECT dimensions_json, overlap FROM campaigns")[0]
    assert json.loads(stored["dimensions_json"]) == ["overall"] and stored["overlap"] == 2
