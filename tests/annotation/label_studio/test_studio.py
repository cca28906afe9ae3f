"""Against a real Label Studio: published once, synced once, whatever people, kills and second processes do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from annotation.label_studio import projects, state
from annotation.label_studio.backend import LabelStudio
from annotation.label_studio.sync import sync, totals
from annotation.label_studio.up import Wishes, status, up
from tests.annotation.label_studio.campaigns import (
    HOSTILE,
    Person,
    again,
    campaign,
    choice,
    inspection,
    numbers,
    result,
)
from tests.annotation.label_studio.conftest import NAMES, Studio
from warehouse import Warehouse, open_warehouse
from warehouse.errors import BackendError, ConfigError, ConflictError, NotFoundError
from warehouse.records import annotator_row

pytestmark = pytest.mark.label_studio
ROOT = Path(__file__).resolve().parents[3]
# Pages of two tasks. The process kills itself with no chance to tidy up: in the second page, or after the last one.
SYNC = """
import itertools, os, signal, sys
from annotation.label_studio import projects
from annotation.label_studio import sync as module
from warehouse import open_warehouse
from warehouse.stage import Recorder
url, name, point = sys.argv[1:]
projects._PAGE = 2
calls = itertools.count(1)
def die(*_):
    if next(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
if point == "middle":
    Recorder.progress = die
with open_warehouse(url) as warehouse:
    module.sync(warehouse, name)
    if point == "end":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def opened(studio: Studio) -> Iterator[Warehouse]:
    with open_warehouse(str(studio.root)) as warehouse:
        yield warehouse


def _votes(warehouse: Warehouse, name: str) -> list[dict[str, object]]:
    """Votes that count, as (task, rater, dimension, label on screen)."""
    return warehouse.rows(
        "SELECT v.task_id, v.annotator_id, v.dimension, v.label, v.left_side, v.label_config_id, v.seconds FROM votes v"
        " WHERE v.source = ? AND NOT v.deleted ORDER BY v.task_id, v.annotator_id, v.dimension", [f"campaign:{name}"])


def test_up_again_changes_nothing_and_keeps_secrets(studio: Studio) -> None:
    again_up = up(str(studio.root), Wishes(NAMES, bell=False), lambda question: False, lambda text: None)
    assert not again_up["changed"] and again_up["links"] == studio.links and again_up["running"]
    place = state.folder(studio.root)
    assert place.stat().st_mode & 0o077 == 0
    assert (place / "server.json").stat().st_mode & 0o077 == 0
    assert studio.server.token not in json.dumps(status(str(studio.root)))
    signup = httpx.post(f"{studio.server.url}/user/signup/", data={"email": "x@y.z", "password": "12345678abc"})
    assert signup.status_code >= 400


def test_publishing_again_adds_nothing(studio: Studio, opened: Warehouse) -> None:
    first = campaign(opened, "twice")
    assert first.outputs["tasks"] == 8
    project = int(opened.rows("SELECT backend_ref FROM annotation_tasks WHERE campaign_id = ?",
                              [first.outputs["campaign_id"]])[0]["backend_ref"].split(":")[0])
    assert not again(opened, "twice").changed
    # The stage runs again, as after a kill: what is on the server is found there.
    before = numbers(opened, "twice")
    receipt = again(opened, "twice", reject_limit=0.4)
    assert receipt.changed and numbers(opened, "twice") == before
    on_server = list(projects.tasks_of(studio.owner, project, "task_only"))
    assert sorted(task["id"] for task in on_server) == sorted(number for _, number in before)
    told = json.dumps(on_server, ensure_ascii=False)
    hidden = ["secret-model-x", first.outputs["campaign_id"], "gold"]
    hidden += [row[name] for row in opened.rows("SELECT candidate_id, generator_id, media_id FROM candidates")
               for name in row]
    assert HOSTILE in told.replace('\\"', '"') and not [word for word in hidden if word in told]


def test_every_change_arrives_once(studio: Studio, opened: Warehouse) -> None:
    campaign(opened, "changes")
    tasks = [number for _, number in numbers(opened, "changes")]
    ann, bob = Person(studio, "ann"), Person(studio, "bob")
    kept = ann.answer(tasks[0], result("left", "tie", why="warmer"))
    edited = ann.answer(tasks[1], result("right", "right"))
    deleted = bob.answer(tasks[2], result("both_bad", "left"))
    bob.answer(tasks[3], [], was_cancelled=True)
    bob.answer(tasks[4], [choice("flag", "broken")])
    said = totals(sync(opened, "changes"))
    assert (said["votes"], said["skips"], said["flags"], said["rejects"]) == (6, 1, 1, 0)
    rows = {(row["task_id"], row["dimension"]): row for row in _votes(opened, "changes")}
    first = opened.rows("SELECT * FROM annotation_tasks WHERE task_id = ?", [numbers(opened, "changes")[0][0]])[0]
    assert rows[first["task_id"], "overall"]["label"] == first["left_side"] and first["state"] == "done"
    assert rows[first["task_id"], "overall"]["seconds"] == 4.5
    assert rows[first["task_id"], "overall"]["label_config_id"] == first["label_config_id"] is not None
    mine = annotator_row("person", studio.server.raters[0].email)["annotator_id"]
    reasons = opened.rows("SELECT r.text, r.author_kind, r.author_id FROM rationales r "
                          "JOIN votes v USING (rationale_id) WHERE v.task_id = ?", [first["task_id"]])
    assert reasons == [{"text": "warmer", "author_kind": "person", "author_id": mine}] * 2
    assert not totals(sync(opened, "changes"))["changed"]
    ann.edit(edited, result("tie", "left"))
    bob.delete(deleted)
    assert totals(sync(opened, "changes"))["deleted"] == 2
    assert not totals(sync(opened, "changes", full=True))["changed"]
    assert {row["annotator_id"] for row in _votes(opened, "changes")} == {mine} and kept != edited
    actions = Counter(row["action"] for row in opened.rows(
        "SELECT r.action FROM vote_revisions r JOIN votes v USING (vote_id) WHERE v.source = 'campaign:changes'"))
    assert actions == {"created": 6, "edited": 2, "deleted": 2}


def test_items_pass_fail_and_change(studio: Studio, opened: Warehouse) -> None:
    assert inspection(opened, "items", prompts=2).outputs["items"] == 4
    assert not inspection(opened, "items", prompts=2).changed
    tasks = numbers(opened, "items")
    ann = Person(studio, "ann")
    edited = ann.answer(tasks[0][1], result("pass", "fail"))
    deleted = ann.answer(tasks[1][1], result("fail", "fail"))
    ann.answer(tasks[2][1], result("left", "fail"))
    ann.answer(tasks[3][1], [choice("flag", "broken")])
    said = totals(sync(opened, "items"))
    assert (said["votes"], said["flags"], said["rejects_by_reason"]) == (4, 1, {"unknown_choice": 1})
    ann.edit(edited, result("fail", "fail"))
    ann.delete(deleted)
    assert totals(sync(opened, "items"))["deleted"] == 2
    rows = opened.rows("SELECT v.task_id, v.dimension, v.label, v.candidate_id = t.candidate_id AS same, v.pair_id, "
                       "v.label_config_id = t.label_config_id AS page FROM votes v JOIN annotation_tasks t "
                       "USING (task_id) WHERE v.source = 'items:items' AND NOT v.deleted ORDER BY v.dimension")
    told = {"task_id": tasks[0][0], "label": "fail", "same": True, "pair_id": None, "page": True}
    assert rows == [told | {"dimension": dimension} for dimension in ("overall", "text_alignment")]
    assert not totals(sync(opened, "items", full=True))["changed"]


def test_what_does_not_fit_is_a_reject_with_its_annotation(studio: Studio, opened: Warehouse) -> None:
    campaign(opened, "misfits", prompts=3)
    tasks = [number for _, number in numbers(opened, "misfits")]
    ann = Person(studio, "ann")
    bad = {"unknown_choice": result("left", "A"), "unknown_control": [choice("smell", "left")],
           "empty_result": [], "missing_answer": [choice("overall", "left")]}
    places = {reason: f"annotation {ann.answer(task, given)} of task {task}"
              for task, (reason, given) in zip(tasks, bad.items(), strict=False)}
    ann.answer(tasks[4], result("left", "left"))
    said = totals(sync(opened, "misfits"))
    assert said["rejects_by_reason"] == dict.fromkeys(bad, 1) and said["votes"] == 2
    stored = opened.rows("SELECT reason, location FROM rejects WHERE source = 'campaign:misfits'")
    assert {row["reason"]: row["location"] for row in stored} == places
    assert not totals(sync(opened, "misfits"))["changed"]


def test_killed_and_two_at_once_give_the_same_votes(studio: Studio, opened: Warehouse) -> None:
    campaign(opened, "torn", prompts=3)
    people = [Person(studio, name) for name in ("ann", "bob")]
    for index, (_, task) in enumerate(numbers(opened, "torn")):
        people[index % 2].answer(task, result(("left", "right", "tie")[index % 3], "left"))

    def start(point: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", SYNC, str(studio.root), "torn", point], cwd=ROOT)

    assert start("middle").wait(100) == -signal.SIGKILL
    assert 0 < len(_votes(opened, "torn")) < 12
    assert start("end").wait(100) == -signal.SIGKILL
    both = [start(""), start("")]
    assert [process.wait(100) for process in both] == [0, 0]
    assert len(_votes(opened, "torn")) == 12
    assert opened.rows("SELECT count(*) AS n FROM vote_revisions r JOIN votes v USING (vote_id) "
                       "WHERE v.source = 'campaign:torn'")[0]["n"] == 12
    assert not totals(sync(opened, "torn", full=True))["changed"]


def test_a_deleted_project_is_told_of_and_its_votes_stay(studio: Studio, opened: Warehouse) -> None:
    campaign(opened, "gone", prompts=1)
    Person(studio, "ann").answer(numbers(opened, "gone")[0][1], result("left", "left"))
    sync(opened, "gone")
    project = next(iter(LabelStudio(opened, "gone").published()))
    studio.owner.send("DELETE", f"/api/projects/{project}/")
    with pytest.raises(NotFoundError, match="gone from Label Studio"):
        sync(opened, "gone")
    assert len(_votes(opened, "gone")) == 2


def test_a_server_that_is_down_or_refuses_us_loses_nothing(
    studio: Studio, opened: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign(opened, "refused", prompts=1)
    before = opened.rows("SELECT * FROM watermarks WHERE name LIKE 'votes:%'")
    monkeypatch.setenv(state.URL, studio.server.url)
    monkeypatch.setenv(state.KEY, "0" * 40)
    with pytest.raises(ConfigError, match="refuses the token"):
        sync(opened, "refused")
    monkeypatch.setenv(state.URL, "http://127.0.0.1:9")
    with pytest.raises(BackendError, match="does not answer"):
        sync(opened, "refused")
    assert opened.rows("SELECT * FROM watermarks WHERE name LIKE 'votes:%'") == before


def test_a_config_edited_by_hand_is_told_of_and_put_back(studio: Studio, opened: Warehouse) -> None:
    campaign(opened, "edited", prompts=1)
    [(project, xml)] = LabelStudio(opened, "edited").published().items()
    changed = xml.replace('alias="both_bad"', 'alias="awful"')
    studio.owner.send("PATCH", f"/api/projects/{project}/", {"label_config": changed})
    first, second = (number for _, number in numbers(opened, "edited"))
    Person(studio, "ann").answer(first, result("left", "tie"))
    Person(studio, "bob").answer(second, result("awful", "tie"))
    with pytest.raises(ConflictError, match=f"edited by hand.*project {project}"):
        sync(opened, "edited")
    assert {row["label"] for row in _votes(opened, "edited") if row["dimension"] == "text_alignment"} == {"tie"}
    assert len(_votes(opened, "edited")) == 2
    assert opened.rows("SELECT reason FROM rejects WHERE source = 'campaign:edited'") == [{"reason": "unknown_choice"}]
    again(opened, "edited")
    assert projects.config_of(studio.owner, project) == xml
    assert not totals(sync(opened, "edited"))["changed"]
