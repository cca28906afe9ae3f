"""Raters through the gateway, before a real Label Studio: their own work passes, all else is refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from annotation.admission import event_row, resume
from annotation.gateway.app import Gateway
from annotation.gateway.desk import Desk
from annotation.gateway.door import person
from annotation.label_studio import state
from annotation.label_studio.backend import LabelStudio
from annotation.label_studio.webhooks import projects_of, register, secret_of
from tests.annotation.label_studio.campaigns import again, campaign, choice, pairs, result
from tests.annotation.label_studio.conftest import Studio
from warehouse import open_warehouse
from warehouse.errors import ConfigError

pytestmark = pytest.mark.label_studio


class Visitor:
    """A browser with one rater's link."""

    def __init__(self, studio: Studio, name: str) -> None:
        link = studio.links[name]
        self.http = httpx.Client(base_url=link.split("/in/")[0], timeout=60.0)
        self.entered = self.http.get(link)

    def next(self, project: int) -> dict[str, Any]:
        said = self.http.post("/api/dm/actions/", params={"id": "next_task", "project": project}, json={})
        assert said.status_code == 200, said.text
        task: dict[str, Any] = said.json()
        return task

    def submit(self, task: int, given: list[dict[str, Any]], **more: Any) -> httpx.Response:
        return self.http.post(f"/api/tasks/{task}/annotations/", json={"result": given, "lead_time": 2.0} | more)


def _until(true: Callable[[], bool]) -> None:
    """Waits for what another process does."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def project(studio: Studio) -> Iterator[int]:
    """A campaign of five pairs, two people each."""
    with open_warehouse(str(studio.root)) as warehouse:
        campaign(warehouse, "gateway", prompts=5)
        number = next(iter(LabelStudio(warehouse, "gateway").published()))
    yield number


def test_links_open_their_own_work_only(studio: Studio, project: int) -> None:
    ann, bob = Visitor(studio, "ann"), Visitor(studio, "bob")
    assert ann.entered.status_code == 303 and "HttpOnly" in ann.entered.headers["set-cookie"]
    assert studio.links["ann"].rpartition("/")[2] not in ann.entered.headers["set-cookie"]
    page = ann.http.get(f"/projects/{project}/data/", params={"labeling": "1"})
    assert page.status_code == 200 and "sessionid" not in str(page.headers) and studio.server.url not in page.text
    first, second = ann.next(project), bob.next(project)
    assert first["id"] == ann.next(project)["id"] != second["id"]
    assert set(first["data"]) == {"ref", "prompt", "left", "right"} and "secret" not in str(first)
    assert ann.http.get(first["data"]["left"]).headers["content-type"] == "image/png"
    assert bob.submit(first["id"], result("left", "left")).status_code == 403
    assert bob.http.get(f"/api/tasks/{first['id']}/").status_code == 403
    made = ann.submit(first["id"], result("left", "left"))
    assert made.status_code == 201
    mine = f"/api/annotations/{made.json()['id']}/"
    assert bob.http.patch(mine, json={"result": result("right", "right")}).status_code == 403
    assert bob.http.get(mine).status_code == 403 and bob.http.delete(mine).status_code == 403
    assert ann.http.patch(mine, json={"result": result("right", "right")}).status_code == 200
    assert ann.http.delete(mine).status_code == 403
    shown = ann.http.get(f"/api/tasks/{first['id']}/").json()["annotations"]
    assert [item["id"] for item in shown] == [made.json()["id"]]
    people = ann.http.get("/api/users/").json()
    assert [person["id"] for person in people] == [ann.http.get("/api/current-user/whoami").json()["id"]]


def test_skips_and_flags_pass_and_the_pair_goes_to_somebody_else(studio: Studio, project: int) -> None:
    bob, cleo = Visitor(studio, "bob"), Visitor(studio, "cleo")
    skipped = bob.next(project)["id"]
    assert bob.submit(skipped, [], was_cancelled=True).status_code == 201
    flagged = bob.next(project)["id"]
    assert bob.submit(flagged, [choice("flag", "broken")]).status_code == 201
    # A gateway that starts anew learns both from the server.
    desk = Desk(str(studio.root))
    desk.take(desk.look())
    me = bob.http.get("/api/current-user/whoami").json()["id"]
    assert {skipped, flagged} <= set(desk.queues[project].made[me])
    seen = []
    while (said := cleo.http.get(f"/api/projects/{project}/next/")).status_code == 200:
        seen.append(said.json()["id"])
        assert cleo.submit(seen[-1], result("tie", "tie")).status_code == 201
    assert len(seen) == len(set(seen)) == 5 and said.status_code == 404


def test_everything_else_is_refused(studio: Studio, project: int) -> None:
    ann = Visitor(studio, "ann")
    for method, path in (("DELETE", f"/api/projects/{project}/"), ("GET", f"/api/projects/{project}/export"),
                         ("GET", "/api/tasks/"), ("POST", "/api/dm/actions/?id=delete_tasks"), ("GET", "/projects/"),
                         ("GET", f"/projects/{project}/settings/"), ("GET", "/api/current-user/token"),
                         ("GET", "/user/account/"), ("GET", "/static/..%2fapi/projects/")):
        assert ann.http.request(method, path).status_code == 403, path
    stranger = httpx.Client(base_url=ann.http.base_url)
    assert stranger.get("/in/guessed").status_code == 403 and stranger.get("/").status_code == 403
    assert stranger.get(f"/api/projects/{project}/next/").status_code == 403
    stranger.cookies.set("rewarddance_rater", "0" * 64)
    assert stranger.get(f"/projects/{project}/data/").status_code == 403


def test_a_test_comes_before_the_work_and_a_pause_ends_it(studio: Studio) -> None:
    with open_warehouse(str(studio.root)) as warehouse:
        pairs(warehouse, "admitted", 2)
        with pytest.raises(ConfigError, match="0 questions with known answers"):
            again(warehouse, "admitted", dimensions=("overall",), backend_options={"admission": {}})
        rows = warehouse.rows("SELECT pair_id FROM pairs JOIN prompts USING (prompt_id) "
                              "WHERE prompts.source = 'admitted'")
        warehouse.merge("gold_items", [{"pair_id": row["pair_id"], "dimension": "overall", "label": "tie",
                                        "explanation": "They are alike.", "source": "test"} for row in rows])
        rules = {"questions": 2, "need": 2}
        again(warehouse, "admitted", dimensions=("overall",), backend_options={"admission": rules})
        project = next(iter(LabelStudio(warehouse, "admitted").published()))
        ann, bob = Visitor(studio, "ann"), Visitor(studio, "bob")
        page, asks = f"/projects/{project}/data/?labeling=1", f"/admission/{project}/"
        assert ann.http.get(page).headers["location"] == asks
        assert ann.http.get(f"/api/projects/{project}/next/").status_code == 403
        assert httpx.get(f"{ann.http.base_url}{asks}state").status_code == 403
        for number in range(2):
            given = {"dimension": "overall", "number": number, "label": "tie"}
            told = ann.http.post(f"{asks}answer", json=given).json()
            assert told["right"] and told["explanation"] == "They are alike."
        assert ann.http.get(f"{asks}state").json()["work"] == page
        assert ann.http.get(page).status_code == 200 and bob.http.get(page).status_code == 303
        task = ann.next(project)["id"]
        assert bob.submit(task, [choice("overall", "left")]).status_code == 403
        paused = event_row(person(studio.server.raters[0].email), "paused", {"why": "fast"}, None, None)
        warehouse.merge("annotator_events", [paused])
        _until(lambda: ann.http.get(page).status_code == 403)
        assert ann.submit(task, [choice("overall", "left")]).status_code == 403
        resume(warehouse, paused["annotator_id"], "talked")
        _until(lambda: ann.http.get(page).status_code == 200)


def test_a_deleted_project_stops_nobodys_other_work(studio: Studio, project: int) -> None:
    desk = Desk(str(studio.root))
    with open_warehouse(str(studio.root)) as warehouse:
        campaign(warehouse, "vanished", prompts=1)
        gone = next(iter(LabelStudio(warehouse, "vanished").published()))
    desk.take(desk.look())
    assert {gone, project} <= set(desk.queues)
    studio.owner.send("DELETE", f"/api/projects/{gone}/")
    desk.take(desk.look())
    assert gone not in desk.queues and project in desk.queues


def _hooks(studio: Studio, project: int) -> list[dict[str, Any]]:
    return [hook for hook in studio.owner.get("/api/webhooks/") if hook["project"] == project]


def test_an_answer_rings_the_bell_which_needs_its_secret(studio: Studio) -> None:
    place = state.folder(studio.root)
    with open_warehouse(str(studio.root)) as warehouse:
        campaign(warehouse, "rung", prompts=1)
        project = next(iter(LabelStudio(warehouse, "rung").published()))
        state.save(place, studio.server.model_copy(update={"bell": True}))
        try:
            gateway = Gateway(str(studio.root)).app()
        finally:
            state.save(place, studio.server.model_copy(update={"bell": False}))
        with TestClient(gateway) as http:
            for headers, status in (({}, 401), ({"X-RewardDance-Secret": "wrong"}, 401),
                                    ({"X-RewardDance-Secret": secret_of(place)}, 200)):
                assert http.post("/webhook", headers=headers).status_code == status
            http.get("/in/" + studio.links["ann"].rpartition("/")[2], follow_redirects=False)
            task = http.get(f"/api/projects/{project}/next/").json()["id"]
            body = {"result": result("left", "left"), "lead_time": 2.0}
            assert http.post(f"/api/tasks/{task}/annotations/", json=body).status_code == 201
            query = "SELECT count(*) AS n FROM votes WHERE source = 'campaign:rung'"
            _until(lambda: warehouse.rows(query)[0]["n"] == 2)
        # Again, the same hook; elsewhere, only that one; none where the project is gone.
        assert project in projects_of(warehouse) and not _hooks(studio, project)
    for address in (studio.server.gateway_url, studio.server.gateway_url, "http://127.0.0.1:9"):
        assert register(studio.owner, place, address, [10**6, project]) == ""
        assert [hook["url"] for hook in _hooks(studio, project)] == [f"{address}/webhook"]


def test_no_secret_reaches_a_log(studio: Studio, project: int) -> None:
    Visitor(studio, "ann").next(project)
    place = state.folder(studio.root)
    written = "".join(path.read_text("utf-8", "replace") for path in place.glob("*.log"))
    secrets = [studio.server.token, studio.server.password, secret_of(place)]
    secrets += [part for rater in studio.server.raters for part in (rater.link, rater.password)]
    assert not [secret for secret in secrets if secret in written]
