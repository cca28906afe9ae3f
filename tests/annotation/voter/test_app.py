"""The voter's addresses: nothing tells the generator, and nobody without the key gets in."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image

from annotation.voter.app import Voter
from annotation.voter.session import Session
from tests.annotation.voter.folders import campaign_of, pictures
from warehouse import Warehouse

Call = Callable[..., httpx.Response]


@pytest.fixture
def voter(warehouse: Warehouse, tmp_path: Path) -> Voter:
    folder = pictures(tmp_path / "mine", ("a <b>cat {{x}}", "a dog"))
    return Voter(Session(warehouse, campaign_of(warehouse, folder), "me"), lambda: None)


@pytest.fixture
def call(voter: Voter) -> Call:
    """One request in this thread, below the key."""

    def ask(method: str, path: str, host: str = "127.0.0.1", key: str = voter.key, **more: object) -> httpx.Response:
        async def request() -> httpx.Response:
            transport = httpx.ASGITransport(voter.app())
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
                return await client.request(method, f"/{key}/{path}", **more)  # type: ignore[arg-type]

        return asyncio.run(request())

    return ask


def test_page_tasks_and_media_tell_no_generator(call: Call) -> None:
    page, state = call("GET", ""), call("GET", "api/state")
    told = page.text + state.text + str(page.headers) + str(state.headers)
    for task in state.json()["tasks"]:
        for side in ("left", "right"):
            picture = call("GET", task[side])
            assert picture.status_code == 200 and Image.open(io.BytesIO(picture.content)).size == (96, 96)
            assert b"alpha" not in picture.content and b"beta" not in picture.content
            told += task[side] + str(picture.headers)
    assert "alpha" not in told and "beta" not in told and "mine" not in told
    assert "unsafe-inline" not in page.headers["content-security-policy"]


def test_a_vote_by_address_and_the_names_only_in_the_results(call: Call) -> None:
    state = call("GET", "api/state").json()
    first = state["tasks"][0]["id"]
    answer = call("POST", "api/vote", json={"task": first, "label": "left", "seconds": 2.0}).json()
    assert (answer["done"], answer["total"]) == (1, 2) and answer["tasks"][0]["id"] != first
    results = call("GET", "api/results").json()
    assert results["votes"] == 1 and {rate["generator"] for rate in results["win_rates"]} == {"alpha", "beta"}
    assert results["pairs"][0]["label"] == "left"
    assert call("POST", "api/undo").json()["done"] == 0


def test_no_way_in_without_key_host_or_signature(call: Call) -> None:
    media = call("GET", "api/state").json()["tasks"][0]["left"]
    assert call("GET", "", key="guess").status_code == 404
    assert call("GET", "api/state", host="evil.example").status_code == 400
    assert call("GET", f"{media[:-6]}AAAAAA").status_code == 403
    for path in ("media/../../../etc/passwd", "media/%2e%2e%2fcatalog.sqlite", "media/x"):
        assert call("GET", path).status_code == 404
    assert call("GET", "api/vote").status_code == 405


BROKEN = (b"{", b"[]", b"{}", b'{"task": 1}', b'{"task": "t", "label": "left", "seconds": "1"}', b"x" * 5000,
          b'{"task": "t", "label": "left", "seconds": true}')


def test_broken_requests_are_answered_with_a_reason(call: Call) -> None:
    for body in BROKEN:
        answer = call("POST", "api/vote", content=body)
        assert answer.status_code == 400 and answer.json()["error"], body


def test_errors_have_their_status(call: Call) -> None:
    assert call("POST", "api/undo").status_code == 409
    assert call("POST", "api/flag", json={"task": "absent", "reason": "broken"}).status_code == 404
