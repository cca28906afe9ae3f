"""A campaign's admission test for one person at this machine: the gateway's page, behind a random path of loopback.

It ends by itself when the result stands. Requests run on the event loop's own thread, like the voter's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.routing import Mount

from annotation.exam import Exam
from annotation.gateway.exam_page import Work, exam_routes
from annotation.gateway.media import media_router
from annotation.gateway.signing import MediaSigner
from annotation.voter.session import RATER_KIND
from warehouse import Warehouse
from warehouse.records import Row

_LINK_S = 12 * 3600.0


class Qualify:
    """The application; `finished` is called once the page was told that the test is over."""

    def __init__(self, warehouse: Warehouse, campaign: Row, rater: str, finished: Callable[[], None]) -> None:
        self.key = secrets.token_urlsafe(18)
        self._warehouse, self._campaign, self._rater, self._finished = warehouse, campaign, rater, finished
        self._signer = MediaSigner(secrets.token_bytes(32))

    def app(self) -> Starlette:
        """The ASGI application; its page is at `/KEY/`."""
        media = media_router(self._warehouse.media, self._signer, self._warehouse.root / "media" / "clean")
        routes = [Mount("/media", media), *exam_routes(self._run, self._link, lambda _: "")]
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
        return Starlette(routes=[Mount(f"/{self.key}", routes=routes)], middleware=[hosts])

    def close(self) -> None:
        """Nothing waits: every answer was kept as it came."""

    def results(self) -> dict[str, Any]:
        """How the person stands: `result`, and right answers by dimension."""
        exam = self._exam()
        return {"result": exam.result, "right": {name: test.score[0] for name, test in exam.tests.items()}}

    def _exam(self) -> Exam:
        return Exam(self._warehouse, self._campaign, RATER_KIND, self._rater)

    def _link(self, media_id: str) -> str:
        return "media/" + self._signer.sign(media_id, _LINK_S)

    async def _run(self, request: Request, work: Work) -> Mapping[str, Any]:
        exam = self._exam()
        said = work(exam)
        if exam.result and request.url.path.endswith("/state"):
            self._finished()
        return said
