"""Votes of a session are votes of the warehouse: resumed, undone, flagged, and read back as given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotation.consensus import ConsensusConfig
from annotation.consensus import run as consensus
from annotation.open_tasks import OpenTaskConfig
from annotation.open_tasks import run as open_tasks
from annotation.voter.results import summary, vote_lines, voted
from annotation.voter.session import Session
from tests.annotation.voter.folders import campaign_of, pictures
from warehouse import Warehouse
from warehouse.errors import ConfigError, ConflictError, InvalidInputError, NotFoundError

PROMPTS = tuple(f"thing {letter}" for letter in "abcdef")


@pytest.fixture
def campaign(warehouse: Warehouse, tmp_path: Path) -> str:
    return campaign_of(warehouse, pictures(tmp_path / "mine", PROMPTS))


def _generator(warehouse: Warehouse, media_id: str) -> str:
    query = "SELECT g.name FROM candidates JOIN generators g USING (generator_id) WHERE media_id = ?"
    return str(warehouse.rows(query, [media_id])[0]["name"])


def _votes(warehouse: Warehouse) -> list[tuple[str, bool]]:
    return [(row["label"], row["deleted"]) for row in warehouse.rows("SELECT label, deleted FROM votes ORDER BY ALL")]


def _both_sides(warehouse: Warehouse, folder: Path) -> str:
    """A campaign over the folder in which each generator stands on both sides: sides follow from ids and the seed."""
    for seed in range(100):
        asked = OpenTaskConfig(name=f"seed {seed}", candidate_source=f"try:{folder.resolve()}", votes_per_pair=1,
                               seed=seed)
        campaign = str(open_tasks(asked, warehouse).outputs["campaign_id"])
        shown = Session(warehouse, campaign, "me").upcoming(9)
        if len({_generator(warehouse, task.left) for task in shown}) == 2:
            return campaign
    raise AssertionError("every seed puts one generator on one side")


def test_votes_are_unswapped_and_win_rates_follow(warehouse: Warehouse, tmp_path: Path) -> None:
    """Somebody who always wants beta: beta wins six of six, whichever side it stood on."""
    campaign_of(warehouse, pictures(tmp_path / "mine", PROMPTS))
    campaign = _both_sides(warehouse, tmp_path / "mine")
    session, sides = Session(warehouse, campaign, "me"), set()
    while ahead := session.upcoming():
        side = "left" if _generator(warehouse, ahead[0].left) == "beta" else "right"
        sides.add(side)
        session.vote(ahead[0].task_id, side, 1.5)
    session.close()
    rows = voted(warehouse, campaign)
    found = summary(rows)
    beta, alpha = found["win_rates"]
    assert sides == {"left", "right"} and (session.done, found["votes"]) == (6, 6)
    assert (beta["generator"], beta["rate"], beta["wins"], alpha["rate"]) == ("beta", 1.0, 6, 0.0)
    # Wilson's interval for 6 of 6 (statsmodels 0.14, proportion_confint).
    assert (beta["low"], beta["high"]) == pytest.approx((0.6097, 1.0), abs=1e-3)
    lines = [json.loads(line) for line in vote_lines(rows).splitlines()]
    assert all(line["winner"] == "beta" and line["guideline_version"] == 1 for line in lines)
    states = warehouse.rows("SELECT DISTINCT state FROM annotation_tasks WHERE campaign_id = ?", [campaign])
    assert states == [{"state": "done"}]
    assert consensus(ConsensusConfig(campaign_ids=(campaign,)), warehouse).outputs["n_votes"] == 6


def test_a_session_goes_on_where_it_was_left(warehouse: Warehouse, campaign: str) -> None:
    first = Session(warehouse, campaign, "me")
    for label in ("left", "tie"):
        first.vote(first.upcoming()[0].task_id, label, 1.0)
    expected = first.upcoming(9)
    again = Session(warehouse, campaign, "me")
    assert again.done == 2 and again.upcoming(9) == expected
    other = Session(warehouse, campaign, "you")
    assert other.done == 0 and len(other.upcoming(9)) == 6


def test_preparing_the_same_folder_again_adds_nothing(warehouse: Warehouse, campaign: str, tmp_path: Path) -> None:
    session = Session(warehouse, campaign, "me")
    session.vote(session.upcoming()[0].task_id, "left", 1.0)
    assert campaign_of(warehouse, tmp_path / "mine") == campaign
    assert Session(warehouse, campaign, "me").done == 1
    assert warehouse.rows("SELECT count(*) AS n FROM annotation_tasks")[0]["n"] == 6


def test_undo_takes_back_and_keeps_the_revision(warehouse: Warehouse, campaign: str) -> None:
    session = Session(warehouse, campaign, "me")
    task = session.upcoming()[0].task_id
    session.vote(task, "both_bad", 1.0)
    assert session.undo() == task and session.done == 0 and session.upcoming()[0].task_id == task
    assert _votes(warehouse) == [("both_bad", True)] and voted(warehouse, campaign) == []
    session.vote(task, "tie", 2.0)
    assert _votes(warehouse) == [("tie", False)]
    actions = warehouse.rows("SELECT action FROM vote_revisions ORDER BY happened_at")
    assert [row["action"] for row in actions] == ["created", "deleted", "edited"]


def test_flagged_pairs_are_set_aside_until_undone(warehouse: Warehouse, campaign: str) -> None:
    session = Session(warehouse, campaign, "me")
    task = session.upcoming()[0].task_id
    session.flag(task, "broken")
    assert task not in {shown.task_id for shown in Session(warehouse, campaign, "me").upcoming(9)}
    [event] = warehouse.rows("SELECT * FROM events")
    told = {"annotator_id": session.annotator_id, "reason": "broken", "task_id": task}
    assert json.loads(event["payload_json"]) == told and event["kind"] == "flag"
    assert session.undo() == task
    assert Session(warehouse, campaign, "me").done == 0 and _votes(warehouse) == []


def test_what_is_no_answer_is_refused(warehouse: Warehouse, campaign: str) -> None:
    session = Session(warehouse, campaign, "me")
    task = session.upcoming()[0].task_id
    for label, seconds in (("a", 1.0), ("left", -1.0), ("left", float("nan"))):
        with pytest.raises(InvalidInputError):
            session.vote(task, label, seconds)
    with pytest.raises(InvalidInputError):
        session.flag(task, "dull")
    with pytest.raises(NotFoundError):
        session.vote("another", "left", 1.0)
    with pytest.raises(ConflictError, match="undo"):
        session.undo()
    session.vote(task, "left", 1.0)
    with pytest.raises(ConflictError):
        session.vote(task, "right", 1.0)
    with pytest.raises(ConfigError):
        Session(warehouse, campaign, " ")
    assert _votes(warehouse) != [] and len(_votes(warehouse)) == 1
