"""What the gateway keeps so that raters need not wait for Label Studio: tasks ahead, and the page's files."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from annotation.gateway.assets import Assets
from annotation.gateway.stock import Stock


class Server:
    """Tasks 1 to 9; notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    async def ask(self, path: str, **params: Any) -> httpx.Response:
        wanted = json.loads(params["query"])["selectedItems"]["included"]
        self.asked.append(wanted)
        await asyncio.sleep(0)
        found = [{"id": number} for number in wanted if number < 10]
        return httpx.Response(200, json={"tasks": found}, request=httpx.Request("GET", "http://server" + path))


def test_raters_who_come_together_share_one_request_and_no_task_comes_twice() -> None:
    server, stock = Server(), Stock()

    async def deal() -> list[dict[str, Any]]:
        return await asyncio.gather(*(stock.take(server.ask, 1, number, [2, 3, 4]) for number in (1, 2, 3)))

    assert [task["id"] for task in asyncio.run(deal())] == [1, 2, 3] and server.asked == [[1, 2, 3, 4]]
    assert asyncio.run(stock.take(server.ask, 1, 2, [4, 5])) == {"id": 2} and server.asked[1:] == [[2, 5]]
    assert asyncio.run(stock.take(server.ask, 1, 99, [])) == {}


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
