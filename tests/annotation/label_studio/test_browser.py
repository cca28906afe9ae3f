"""The labelling page in a real Chromium: everything in view at both sizes; three people label by keyboard and mouse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from annotation.label_studio.sync import sync, totals
from pipelines.cli.main import app
from rm import instructions
from tests.annotation.label_studio.campaigns import HOSTILE, Person, campaign, inspection, pairs
from tests.annotation.label_studio.conftest import NAMES, Studio
from tests.annotation.label_studio.pages import ROOT, SIZES, Desk
from warehouse import Warehouse, open_warehouse
from warehouse.records import annotator_row, generator_row

pytestmark = [pytest.mark.label_studio, pytest.mark.browser, pytest.mark.timeout(1200)]
THREE = ("overall", "text_alignment", "visual_quality")
FOUR = (*THREE, "motion_quality")
TWO = THREE[:2]
# Pictures on end under a prompt of four lines leave the least room.
LONG = HOSTILE.split(" ü")[0] + ", an old lighthouse on a cliff in a storm, seen from a small red boat" * 8
Sit = Callable[[str], Desk]


@pytest.fixture(scope="module")
def sit(studio: Studio, browser: Any) -> Iterator[Sit]:
    """A desk for each rater, kept for all tests: its second page comes out of the browser's cache."""
    desks: dict[str, Desk] = {}

    def at(name: str) -> Desk:
        if name not in desks:
            desks[name] = Desk(browser, studio, name)
        return desks[name]

    yield at
    for desk in desks.values():
        desk.page.context.close()


def _project(warehouse: Warehouse, name: str) -> int:
    rows = warehouse.rows("SELECT DISTINCT split_part(backend_ref, ':', 1)::INT AS project FROM annotation_tasks "
                          "JOIN campaigns USING (campaign_id) WHERE name = ?", [name])
    return int(rows[0]["project"])


PAGES: dict[str, dict[str, Any]] = {
    "pictures": {"dimensions": THREE},
    "reference": {"dimensions": THREE, "condition": True, "high": 6, "words": [LONG]},
    "clips": {"task": "t2v", "dimensions": FOUR},
    "first-frame": {"task": "i2v", "dimensions": FOUR, "condition": True},
    "edit": {"task": "edit", "dimensions": THREE, "condition": True},
    "sensitive": {"dimensions": THREE, "tags": {"sensitive": "yes"}},
    "item": {"dimensions": THREE, "item": True},
    "item-clip": {"task": "i2v", "dimensions": FOUR, "condition": True, "item": True},
}


@pytest.mark.parametrize("name", PAGES)
def test_everything_is_in_view(studio: Studio, sit: Sit, name: str) -> None:
    with open_warehouse(str(studio.root)) as warehouse:
        asked = dict(PAGES[name])
        if asked.pop("item", False):
            inspection(warehouse, f"page {name}", **asked)
        else:
            campaign(warehouse, f"page {name}", prompts=1, **asked)
        project = _project(warehouse, f"page {name}")
    desk = sit("ann")
    for size in SIZES:
        # A page keeps the size of its pictures when its window changes, so each window gets a page of its own.
        desk.open(project, size)
        desk.shoot(name)
        assert desk.refused == []
    assert "secret-model-x" not in desk.page.content()
    assert HOSTILE.split(" ü")[0] in desk.page.inner_text(".rd-prompt")
    if name == "sensitive":
        hidden = "getComputedStyle(document.querySelector('.rd-card img')).filter"
        assert "blur" in desk.page.evaluate(hidden)
        desk.press("0")
        assert "blur" not in desk.page.evaluate(hidden)


def test_broken_places_are_painted(studio: Studio, sit: Sit) -> None:
    desk = sit("ann")
    with open_warehouse(str(studio.root)) as warehouse:
        campaign(warehouse, "paint", prompts=1, dimensions=TWO, votes_per_pair=1, backend_options={"regions": True})
        desk.open(_project(warehouse, "paint"), SIZES[1])
        desk.page.keyboard.press("5")
        box = desk.page.locator(".rd-card").first.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        desk.page.mouse.move(x, y)
        desk.page.mouse.down()
        desk.page.mouse.move(x + 60, y + 20, steps=8)
        desk.page.mouse.up()
        desk.shoot("regions")
        desk.press("1q")
        desk.send()
        said = totals(sync(warehouse, "paint"))
        assert (said["votes"], said["regions"], said["rejects"]) == (2, 1, 0)
        [row] = warehouse.rows("SELECT json_extract_string(payload_json, '$.regions[0].candidate') AS side, "
                               "json_extract(payload_json, '$.regions[0].width_px')::INT AS width FROM events "
                               "WHERE kind = 'regions'")
        [task] = warehouse.rows("SELECT left_side FROM annotation_tasks t JOIN campaigns c USING (campaign_id) "
                                "WHERE c.name = 'paint'")
    assert row == {"side": task["left_side"], "width": 96}


def _said(warehouse: Warehouse, name: str) -> dict[tuple[int, str, str], str]:
    """(task on the server, rater, dimension) -> answer as shown, of the votes that count."""
    people = {annotator_row("person", f"{who}@rewarddance.local")["annotator_id"]: who for who in NAMES}
    rows = warehouse.rows(
        "SELECT split_part(t.backend_ref, ':', 2)::INT AS task, v.annotator_id, v.dimension, v.label, v.left_side "
        "FROM votes v JOIN annotation_tasks t USING (task_id) WHERE v.source = ? AND NOT v.deleted",
        [f"campaign:{name}"])
    shown = {"a": {"a": "left", "b": "right"}, "b": {"a": "right", "b": "left"}}
    return {(row["task"], people[row["annotator_id"]], row["dimension"]):
            shown[row["left_side"]].get(row["label"], row["label"]) for row in rows}


def _votes(task: int, who: str, *answers: str) -> dict[tuple[int, str, str], str]:
    return {(task, who, dimension): answer for dimension, answer in zip(TWO, answers, strict=True)}


def test_three_people_label_pictures_by_keyboard_and_clips_by_mouse(studio: Studio, sit: Sit) -> None:
    expected: dict[str, dict[tuple[int, str, str], str]] = {"pictures": {}, "clips": {}}
    with open_warehouse(str(studio.root)) as warehouse:
        campaign(warehouse, "three pictures", prompts=2, dimensions=TWO, votes_per_pair=3)
        campaign(warehouse, "three clips", prompts=1, task="t2v", dimensions=TWO, votes_per_pair=3)
        pictures, clips = _project(warehouse, "three pictures"), _project(warehouse, "three clips")
        ann, bob, cleo = (sit(name) for name in NAMES)
        ann.open(pictures)
        for keys, answers in (("1q", ("left", "left")), ("4w", ("both_bad", "tie"))):
            ann.press(keys)
            if keys == "1q":
                ann.reason("warmer light")
            expected["pictures"] |= _votes(ann.send(), "ann", *answers)
        # Bob takes his first answer back for another one, and passes the second pair by.
        bob.open(pictures)
        bob.press("3e")
        edited = bob.send()
        bob.back()
        bob.press("2q")
        bob.send()
        expected["pictures"] |= _votes(edited, "bob", "tie", "left")
        bob.open(pictures)
        bob.send("Control+Space")
        # Cleo's first pair is broken; her second answer is deleted by the lead afterwards.
        cleo.open(pictures)
        cleo.press("7")
        cleo.send()
        cleo.press("3q")
        deleted = cleo.send()
        for who in (ann, bob, cleo):
            who.open(clips)
            if who is ann:
                ann.watch()
            who.click((0, "Right"), (1, "Same"))
            name = NAMES[(ann, bob, cleo).index(who)]
            expected["clips"] |= _votes(who.send_by_mouse(), name, "right", "tie")
        first = totals(sync(warehouse, "three pictures"))
        assert (first["votes"], first["skips"], first["flags"], first["rejects"]) == (8, 1, 1, 0)
        reasons = warehouse.rows("SELECT DISTINCT r.text, r.author_id FROM rationales r "
                                 "JOIN votes v USING (rationale_id) WHERE v.source = 'campaign:three pictures'")
        writer = annotator_row("person", "ann@rewarddance.local")["annotator_id"]
        assert reasons == [{"text": "warmer light", "author_id": writer}]
        [made] = studio.owner.get(f"/api/tasks/{deleted}/annotations/")
        assert cleo.page.request.delete(f"{cleo.home}/api/annotations/{made['id']}/").status == 403
        Person(studio, "cleo").delete(made["id"])
        for name in ("three pictures", "three clips"):
            sync(warehouse, name)
            assert _said(warehouse, name) == expected[name.split()[1]]
            assert not totals(sync(warehouse, name, full=True))["changed"]


def _rewarddance(studio: Studio, *arguments: str) -> dict[str, Any]:
    """The command's answer."""
    done = CliRunner().invoke(app, [*arguments, "--warehouse", str(studio.root), "--json"])
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_two_commands_lead_from_pairs_to_labelling_and_a_dataset_holds_the_votes(studio: Studio, sit: Sit) -> None:
    """As docs/annotation.md tells it of the demo's warehouse."""
    with open_warehouse(str(studio.root)) as warehouse:
        pairs(warehouse, "mine", 2)
        instructions.run(instructions.InstructionConfig(file=ROOT / "configs/instructions/default.yaml"), warehouse)
    maker = generator_row("secret-model-x mine", "test", "1")["generator_id"]
    assert _rewarddance(studio, "annotate", "up", "--no-bell")["links"] == studio.links
    _rewarddance(studio, "annotate", "publish", "--campaign", "mine", "--votes", "1", "--set", f"generator_id={maker}")
    with open_warehouse(str(studio.root)) as warehouse:
        project = _project(warehouse, "mine")
    desk = sit("ann")
    desk.open(project)
    for key in "13":
        desk.press(key)
        desk.send()
    assert _rewarddance(studio, "annotate", "sync", "--campaign", "mine")["votes"] == 2
    merged = _rewarddance(studio, "annotate", "consensus", "--set", "vote_sources=[campaign:mine]")
    built = _rewarddance(studio, "dataset", "build", "--set", "name=mine", "--set",
                         f"consensus_ids=[{merged['consensus_id']}]")
    assert sum(built["samples"].values()) == 2
    with open_warehouse(str(studio.root)) as warehouse:
        rows = warehouse.rows("SELECT s.p_a > 0.5 AS first, v.label = 'a' AS a FROM samples s "
                              "JOIN votes v USING (pair_id) WHERE s.name = 'mine' AND v.source = 'campaign:mine'")
    assert len(rows) == 2 and all(row["first"] == row["a"] for row in rows)
