"""The gateway's test rooms: each rater's exam of a campaign, and the door that reads its result.

A warehouse belongs to one thread, so all of this happens in one thread of its own, on one connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import Request
from starlette.routing import Mount

from annotation.exam import Exam
from annotation.gateway.door import Door
from annotation.gateway.exam_page import Work, exam_routes
from annotation.gateway.sessions import COOKIE, Sessions
from annotation.gateway.signing import MediaSigner
from annotation.label_studio.answers import RATER_KIND
from warehouse import Warehouse, open_warehouse
from warehouse.errors import RewardDanceError
from warehouse.records import Row

_LOG = logging.getLogger("rewarddance.gateway")
_AGAIN_S = 5.0
_LINK_S = 6 * 3600.0


class Admissions:
    """`campaign_of` names the campaign (row of campaigns) of a project's number, None where there is none."""

    def __init__(self, warehouse: str, sessions: Sessions, signer: MediaSigner,
                 campaign_of: Callable[[int], Row | None]) -> None:
        self.door = Door()
        self._url, self._sessions, self._signer, self._campaign_of = warehouse, sessions, signer, campaign_of
        self._thread = ThreadPoolExecutor(1, "admission")
        self._opened: Warehouse | None = None

    def mount(self) -> Mount:
        """The test of a project's campaign, at `/admission/NUMBER/`."""
        def link(media_id: str) -> str:
            return "/media/" + self._signer.sign(media_id, _LINK_S)

        routes = exam_routes(self._run, link, lambda request: f"/projects/{_project(request)}/data/?labeling=1")
        return Mount("/admission/{project:int}", routes=routes)

    async def watch(self) -> None:
        """Read standings again and again: pauses come from other processes."""
        while True:
            try:
                await self._in_thread(lambda warehouse: self.door.refresh(warehouse))
            except RewardDanceError as error:
                _LOG.warning("admission: %s", error)
            await asyncio.sleep(_AGAIN_S)

    async def close(self) -> None:
        """Release the connection."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, opened.close)
        self._thread.shutdown()

    async def _in_thread(self, act: Callable[[Warehouse], Any]) -> Any:
        def call() -> Any:
            if self._opened is None:
                self._opened = open_warehouse(self._url)
            return act(self._opened)

        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def _run(self, request: Request, work: Work) -> Mapping[str, Any] | None:
        """What `work` says about the exam of the rater and project of a request; None for no rater or no exam."""
        session = self._sessions.find(request.cookies.get(COOKIE))
        campaign = self._campaign_of(_project(request))
        if session is None or campaign is None:
            return None
        email = session.rater.email

        def sit(warehouse: Warehouse) -> Mapping[str, Any]:
            said = work(Exam(warehouse, campaign, RATER_KIND, email))
            self.door.refresh(warehouse)
            return said

        found: Mapping[str, Any] = await self._in_thread(sit)
        return found


def _project(request: Request) -> int:
    return int(request.path_params["project"])
