"""What the gateway keeps so that raters need not wait for Label Studio: tasks ahead, and the page's files."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from annotation.gateway.assets import Assets
from annotation.gateway.stock import Stock


class Server:
    """Tasks 1 to 99; notes what it was asked for, and answers once it may."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.may = threading.Event()
        self.may.set()

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        wanted = json.loads(params["query"])["selectedItems"]["included"]
        self.asked.append(wanted)
        assert self.may.wait(10)
        return {"tasks": [{"id": number} for number in wanted if number < 100]}


def test_raters_who_come_together_share_one_request_and_no_task_comes_twice() -> None:
    server = Server()

    async def deal() -> list[dict[str, Any]]:
        stock = Stock(server)
        taken = await asyncio.gather(*(stock.take(1, number, range(number + 1, 6)) for number in (1, 2, 3)))
        assert server.asked == [[1, 2, 3, 4, 5]]
        return [*taken, await stock.take(1, 2, [4, 6]), await stock.take(1, 100, [])]

    assert asyncio.run(deal()) == [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 2}, {}]
    assert server.asked[1:] == [[2, 6], [100]]


def test_the_stock_is_filled_while_raters_are_dealt_what_is_left_of_it() -> None:
    server = Server()

    async def deal() -> None:
        stock = Stock(server)
        await stock.take(1, 1, range(2, 12))
        server.may.clear()
        for number in range(2, 10):
            # The server does not answer, and no rater waits for it.
            await asyncio.wait_for(stock.take(1, number, range(number + 1, number + 11)), 5)
        await asyncio.sleep(0)
        server.may.set()
        await asyncio.wait_for(stock.take(1, 12, ()), 5)

    asyncio.run(deal())
    assert server.asked == [list(range(1, 12)), list(range(12, 18))]


def test_files_of_the_page_are_asked_for_once_and_told_apart_by_their_address() -> None:
    assets, passed = Assets(), list[str]()

    async def serve(request: Request) -> Response:
        if kept := assets.find(request):
            return kept
        passed.append(str(request.url.query))
        known = request.url.query != "v=none"
        return await assets.keep(request, Response(b"let x = 1;" * 500, 200 if known else 404, media_type="text/css"))

    with TestClient(Starlette(routes=[Route("/main.js", serve)])) as http:
        first = http.get("/main.js?v=1")
        assert first.content == http.get("/main.js?v=1").content == b"let x = 1;" * 500 and passed == ["v=1"]
        assert first.headers["content-encoding"] == "gzip" and int(first.headers["content-length"]) < 500
        plain = http.get("/main.js?v=1", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers and len(plain.content) == 5000
        same = http.get("/main.js?v=1", headers={"If-None-Match": first.headers["etag"]})
        assert same.status_code == 304 and not same.content
        assert [http.get("/main.js?v=none").status_code for _ in (1, 2)] == [404, 404]
    assert passed == ["v=1", "v=none", "v=none"]
