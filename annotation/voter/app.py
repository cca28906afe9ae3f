"""The voter's small server: one page, its votes, its media; on loopback and behind a random path.

Every address lies below `/KEY/`, with a key of this run only, so that no other person of the machine and no page of
another origin can vote or look. A foreign Host header is refused (DNS rebinding). The page is one file without any
outside reference; media come from the gateway's router: cleaned, signed, expiring, and of no telling name. Generators
are named in the results alone.

Handlers run on the event loop's own thread, because a warehouse belongs to one thread and there is one person.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from annotation.gateway.media import media_router
from annotation.gateway.page import whole_page
from annotation.gateway.signing import MediaSigner
from annotation.guideline import criteria_of
from annotation.voter.results import summary, voted
from annotation.voter.session import FLAGS, Session, Shown
from warehouse.errors import ConflictError, InvalidInputError, NotFoundError, RewardDanceError
from warehouse.records import Row

_PAGE = Path(__file__).with_name("page.html")
_LINK_S = 12 * 3600.0
_LARGEST_BODY = 4096
_STATUS = ((NotFoundError, 404), (ConflictError, 409), (InvalidInputError, 400))
Handler = Callable[[Request], Awaitable[Response]]


class Voter:
    """The application of one session; `finished` is called once the person says that they are done."""

    def __init__(self, session: Session, finished: Callable[[], None]) -> None:
        self.session, self._finished = session, finished
        self.key = secrets.token_urlsafe(18)
        self._signer = MediaSigner(secrets.token_bytes(32))

    def app(self) -> Starlette:
        """The ASGI application; its page is at `/KEY/`."""
        store = self.session.warehouse.media
        calls = {"vote": self._vote, "undo": self._undo, "flag": self._flag, "finish": self._finish}
        routes = [
            Route("/", self._page),
            Route("/api/state", self._answer(lambda _: self._state())),
            Route("/api/results", self._answer(lambda _: self._results())),
            *(Route(f"/api/{name}", self._answer(call), methods=["POST"]) for name, call in calls.items()),
            Mount("/media", media_router(store, self._signer, self.session.warehouse.root / "media" / "clean")),
        ]
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
        return Starlette(routes=[Mount(f"/{self.key}", routes=routes)], middleware=[hosts])

    def close(self) -> None:
        """Mark what was answered as done."""
        self.session.close()

    async def _page(self, request: Request) -> Response:
        return whole_page(_PAGE)

    def _answer(self, call: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Handler:
        async def handle(request: Request) -> Response:
            try:
                return JSONResponse(call(await _body(request)), headers={"Cache-Control": "no-store"})
            except RewardDanceError as error:
                status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
                return JSONResponse({"error": error.message, "hint": error.hint}, status)

        return handle

    def _link(self, media_id: str | None) -> str | None:
        """The same address within an hour, so that what the page has loaded ahead is used."""
        if media_id is None:
            return None
        return f"media/{self._signer.sign(media_id, _LINK_S, now=time.time() // 3600 * 3600)}"

    def _shown(self, task: Shown) -> dict[str, Any]:
        return {
            "id": task.task_id,
            "prompt": task.prompt,
            "kind": task.kind,
            "left": self._link(task.left),
            "right": self._link(task.right),
            "condition": self._link(task.condition),
        }

    def _state(self) -> dict[str, Any]:
        """What the page shows: how far, the next task, and those after it, whose media it loads ahead."""
        session = self.session
        title, criteria = criteria_of(session.warehouse, session.campaign, session.dimension)
        return {
            "done": session.done,
            "total": len(session.tasks),
            "title": title,
            "criteria": criteria,
            "flags": FLAGS,
            "tasks": [self._shown(task) for task in session.upcoming()],
        }

    def _vote(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.session.vote(_text(body, "task"), _text(body, "label"), _number(body, "seconds"))
        return self._state()

    def _flag(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.session.flag(_text(body, "task"), _text(body, "reason"))
        return self._state()

    def _undo(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self.session.undo()
        return self._state()

    def _finish(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self._finished()
        return {"finished": True}

    def _results(self) -> dict[str, Any]:
        rows = voted(self.session.warehouse, self.session.campaign["campaign_id"])
        return summary(rows) | {"pairs": [self._outcome(row) for row in reversed(rows[-60:])]}

    def _outcome(self, row: Row) -> dict[str, Any]:
        """A voted pair with the names revealed, as it was shown."""
        left, right = ("a", "b") if row["left_side"] == "a" else ("b", "a")
        label = {left: "left", right: "right"}.get(row["label"], row["label"])
        names = {"left_name": row[f"generator_{left}"], "right_name": row[f"generator_{right}"]}
        links = {"left": self._link(row[f"media_{left}"]), "right": self._link(row[f"media_{right}"])}
        return {"prompt": row["prompt"], "kind": row["kind"], "label": label} | names | links


async def _body(request: Request) -> Mapping[str, Any]:
    """The JSON object of a request, {} for GET; raises InvalidInputError for anything else."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _LARGEST_BODY:
            raise InvalidInputError(f"more than {_LARGEST_BODY} bytes")
    try:
        parsed = json.loads(data or b"{}")
    except ValueError as error:
        raise InvalidInputError("the request is no JSON") from error
    if not isinstance(parsed, dict):
        raise InvalidInputError("the request is no JSON object")
    return parsed


def _text(body: Mapping[str, Any], name: str) -> str:
    if not isinstance(body.get(name), str):
        raise InvalidInputError(f"{name!r} must be a text, got {body.get(name)!r}")
    return str(body[name])


def _number(body: Mapping[str, Any], name: str) -> float:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInputError(f"{name!r} must be a number, got {value!r}")
    return float(value)
