"""The raters' server: personal links, the labelling page, media, and the webhook's bell.

A request of a rater is judged by rules.py. What passes goes to Label Studio under the rater's own account, whose
cookies stay here; tasks come from our own queue (queue.py) and are shown without other people's annotations. No access
log is kept: addresses hold links and tokens.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from annotation.gateway import rules
from annotation.gateway.admissions import Admissions
from annotation.gateway.assets import Assets
from annotation.gateway.bell import Bell
from annotation.gateway.desk import Desk, body_is_pass, without_others
from annotation.gateway.door import Obstacle
from annotation.gateway.home import home_page, told
from annotation.gateway.media import media_router
from annotation.gateway.queue import Queue
from annotation.gateway.sessions import COOKIE, Session, Sessions
from annotation.gateway.shelf import Shelf
from annotation.gateway.signing import MediaSigner, own_secret
from annotation.gateway.stock import STOCK, Stock
from annotation.label_studio import state
from annotation.label_studio.webhooks import secret_of
from warehouse import open_warehouse
from warehouse.errors import ConfigError, RewardDanceError
from warehouse.place import find_place

_LOG = logging.getLogger("rewarddance.gateway")
_SENT_ON = ("accept", "content-type", "range", "if-none-match", "if-modified-since")
_SENT_BACK = ("content-type", "cache-control", "etag", "last-modified", "content-range", "accept-ranges")
_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]
# What the page has for owners is hidden, and clips start anew by a key, which Label Studio has no action for.
_HEAD = ("<style>.ls-menu-header,.lsf-menu-header,.dm-label-view__header-back{display:none!important}"
         ".lsf-content-wrapper__body,.lsf-content-wrapper__content,.lsf-datamanager{height:100vh!important}</style>"
         "<script>addEventListener('keydown', event => {"
         "if (event.key === 'o' && !event.ctrlKey && !event.target.closest('textarea, input[type=text]'))"
         " for (const clip of document.querySelectorAll('video')) clip.currentTime = 0 })</script></head>")
# Clips play by one key; Label Studio's own takes three at once. Where its page is another one, that stays.
_KEYS = (b"editor_keymap: mergedEditorKeymap",
         b'editor_keymap: Object.assign({"media:playpause": {key: "p", description: "Play"}}, mergedEditorKeymap)')

# The page starts as a Data Manager: it wants a view, saves it and lists its tasks. Nothing of that reaches the server.
_VIEW = {"id": 1, "order": 0, "data": {"title": "Work", "type": "list", "target": "tasks",
                                       "filters": {"conjunction": "and", "items": []}}}
_OWN_ANSWERS: dict[str, Any] = {
    rules.NOTHING: [],
    rules.VIEWS: [_VIEW],
    rules.SAVED_VIEW: {"id": 1},
    rules.NO_TASKS: {"tasks": [], "total": 0, "total_annotations": 0, "total_predictions": 0},
}


class Gateway:
    """The routes' state: sessions, queues, media, and the bell that wakes the sync."""

    def __init__(self, warehouse: str) -> None:
        self.warehouse = warehouse
        self.folder = state.folder(find_place(warehouse).root)
        server = state.load(self.folder)
        if server is None:
            raise ConfigError("no Label Studio was started for this warehouse", hint="rewarddance annotate up")
        self.secret = own_secret(self.folder / "gateway.key")
        self.sessions = Sessions(server.url, server.raters, self.secret)
        self.desk = Desk(warehouse)
        self.signer = MediaSigner(own_secret(self.folder / "media.key"))
        self.shelf = Shelf(server.media_url, self.secret) if server.media_url else None
        self.admissions = Admissions(warehouse, self.sessions, self.signer, self.desk.campaigns.get)
        self.assets, self.stock = Assets(), Stock(state.connect(self.folder))
        self.bell = Bell(warehouse) if server.bell else None
        self._looking = asyncio.Lock()

    def app(self) -> Starlette:
        """The ASGI application."""
        with open_warehouse(self.warehouse) as opened:
            store = opened.media
        media = media_router(store, self.signer, self.folder / "media", shelf=self.shelf)
        return Starlette(
            routes=[
                Mount("/media", media),
                self.admissions.mount(),
                Route("/in/{link}", self.enter),
                Route("/webhook", self.ring, methods=["POST"]),
                Route("/", self.home),
                Route("/{path:path}", self.studio, methods=_METHODS),
            ],
            exception_handlers={RewardDanceError: _trouble, httpx.HTTPError: _trouble},
            lifespan=self._life,
        )

    @contextlib.asynccontextmanager
    async def _life(self, _: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.admissions.watch())]
        tasks += [asyncio.create_task(self.bell.answer())] if self.bell else []
        yield
        for task in tasks:
            task.cancel()
        await self.admissions.close()

    async def enter(self, request: Request) -> Response:
        """A personal link: gives the cookie and leads to the work."""
        cookie = self.sessions.cookie_for(request.path_params["link"])
        if cookie is None:
            return PlainTextResponse("this link is not valid", 403)
        answer = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, cookie, httponly=True, samesite="lax", secure=secure, max_age=90 * 86400)
        return answer

    async def ring(self, request: Request) -> Response:
        """The webhook: it says nothing that is believed, it only wakes the sync."""
        given = request.headers.get("x-rewarddance-secret", "")
        if not hmac.compare_digest(given.encode(), secret_of(self.folder).encode()):
            return PlainTextResponse("wrong secret", 401)
        self._ring()
        return PlainTextResponse("ok")

    def _ring(self) -> None:
        if self.bell is not None:
            self.bell.ring()

    async def home(self, request: Request) -> Response:
        """The rater's campaigns; one alone is opened at once."""
        session = self.sessions.find(request.cookies.get(COOKIE))
        if session is None:
            return PlainTextResponse("open your personal link first", 403)
        await session.enter()
        await self._look()
        work = [(_page(number), str(self.desk.campaigns[number]["name"]),
                 told(self._stands(session, number), queue.left(session.number)))
                for number, queue in sorted(self.desk.queues.items())]
        return RedirectResponse(work[0][0], 303) if len(work) == 1 else HTMLResponse(home_page(work))

    def _stands(self, session: Session, project: int) -> Obstacle:
        """What stands between a rater and a project's campaign, "" where nothing does."""
        campaign = self.desk.campaigns.get(project)
        return self.admissions.door.obstacle(session.rater.email, campaign) if campaign else ""

    async def studio(self, request: Request) -> Response:
        """Everything else: judged, then passed on or answered here."""
        session = self.sessions.find(request.cookies.get(COOKIE))
        path = request.url.path
        allowed = rules.judge(request.method, request.scope["raw_path"].decode("latin-1"), request.query_params)
        if session is None or allowed is None:
            return PlainTextResponse("not for raters" if session else "open your personal link first", 403)
        await session.enter()
        if allowed.way in _OWN_ANSWERS:
            return JSONResponse(_OWN_ANSWERS[allowed.way])
        if allowed.way == rules.OWN_USER:
            return JSONResponse([session.user])
        if allowed.way == rules.ASSET:
            return self.assets.find(request) or await self.assets.keep(request, await self._pass(request, session))
        if allowed.way == rules.NEXT:
            return await self._next(session, allowed.number)
        if allowed.way in (rules.PAGE, rules.HISTORY):
            await self._know(allowed.number)
        stands = self._stands(session, allowed.number) if allowed.way == rules.PAGE else ""
        if stands:
            return _closed(stands, allowed.number)
        if allowed.way == rules.HISTORY:
            return JSONResponse(self.desk.history(allowed.number, session.number))
        if allowed.way in (rules.TASK, rules.SUBMIT):
            return await self._task(request, session, allowed)
        if allowed.way in (rules.EDIT, rules.DRAFT):
            return await self._own(request, session, path, allowed)
        answer = await self._pass(request, session)
        if allowed.way == rules.PAGE:
            # A server with an address of its own writes it into the page; through us everything is relative.
            page = bytes(answer.body).replace(str(session.http.base_url).rstrip("/").encode(), b"")
            page = page.replace(b"</head>", _HEAD.encode(), 1).replace(*_KEYS)
            return HTMLResponse(page, answer.status_code)
        return answer

    async def _look(self, project: int = 0) -> None:
        """Refresh the queue of a project, or all of them, where that was not done just now."""
        async with self._looking:
            if self.desk.stale(project):
                self.desk.take(await asyncio.to_thread(self.desk.look, project), project)

    async def _know(self, project: int) -> None:
        """Look at a project where it is not known yet."""
        if project not in self.desk.queues:
            await self._look(project)

    async def _next(self, session: Session, project: int) -> Response:
        await self._know(project)
        if stands := self._stands(session, project):
            return PlainTextResponse(stands, 403)
        queue = self.desk.queues.get(project, Queue())
        if queue.next(session.number, time.monotonic()) is None:
            await self._look(project)
        while (number := queue.next(session.number, time.monotonic())) is not None:
            if task := await self._dealt(session, project, number, queue):
                return JSONResponse(without_others(task, session.number) | {"queue": ""})
            queue.drop(number)
        return JSONResponse({"detail": "There are no tasks left for you"}, 404)

    async def _dealt(self, session: Session, project: int, number: int, queue: Queue) -> dict[str, Any]:
        """The task that a rater was given, from stock where they see it for the first time; {} where it is gone."""
        if queue.shown(number, session.number):
            answer = await self._ask(session, "GET", f"/api/tasks/{number}/")
            return {} if answer.status_code == 404 else dict(answer.raise_for_status().json())
        return await self.stock.take(project, number, queue.ahead(STOCK, time.monotonic()))

    async def _task(self, request: Request, session: Session, allowed: rules.Allowed) -> Response:
        """A task, its drafts, or a new answer: only of what the rater was given."""
        if not self.desk.project_of(allowed.number):
            await self._look()
        project, whose = self.desk.project_of(allowed.number), (allowed.number, session.number)
        queue = self.desk.queues.get(project)
        if stands := self._stands(session, project):
            return PlainTextResponse(stands, 403)
        if queue is None or not (
            queue.claim(*whose, time.monotonic()) if request.method == "POST" else queue.may_touch(*whose)
        ):
            return PlainTextResponse("this task is not yours", 403)
        body = await request.body()
        answer = await self._pass(request, session)
        if allowed.way == rules.SUBMIT and answer.status_code < 300:
            made = json.loads(bytes(answer.body))["id"]
            queue.done(allowed.number, session.number, body_is_pass(body), made, time.monotonic())
            self._ring()
        if request.method == "GET" and answer.status_code == 200:
            return JSONResponse(without_others(json.loads(bytes(answer.body)), session.number))
        return answer

    async def _own(self, request: Request, session: Session, path: str, allowed: rules.Allowed) -> Response:
        """An annotation or a draft: only the rater's own."""
        kind, name = ("drafts", "user") if allowed.way == rules.DRAFT else ("annotations", "completed_by")
        there = await self._ask(session, "GET", f"/api/{kind}/{allowed.number}/")
        owner = there.json().get(name) if there.status_code == 200 else None
        owner = owner["id"] if isinstance(owner, dict) else owner
        if owner not in (session.number, session.user["email"]):
            return PlainTextResponse("this is not yours", 403)
        project = int(there.json().get("project") or 0)
        await self._know(project)
        if stands := self._stands(session, project):
            return PlainTextResponse(stands, 403)
        return await self._pass(request, session)

    async def _pass(self, request: Request, session: Session) -> Response:
        """The request under the rater's account."""
        headers = {name: request.headers[name] for name in _SENT_ON if name in request.headers}
        answer = await self._ask(session, request.method, request.url.path, params=str(request.url.query),
                                 content=await request.body(), headers=headers)
        kept = {name: answer.headers[name] for name in _SENT_BACK if name in answer.headers}
        return Response(answer.content, answer.status_code, kept)

    async def _ask(self, session: Session, method: str, path: str, **more: Any) -> httpx.Response:
        """Label Studio's answer to the rater; asked again after a new login where it forgot the session."""
        answer = await self._send(session, method, path, **more)
        if answer.status_code == 401 or "/user/login" in answer.headers.get("location", ""):
            await session.enter(again=True)
            answer = await self._send(session, method, path, **more)
        return answer

    async def _send(self, session: Session, method: str, path: str, **more: Any) -> httpx.Response:
        proof = {"x-csrftoken": session.http.cookies.get("csrftoken") or "", "referer": str(session.http.base_url)}
        return await session.http.request(method, path, **more | {"headers": proof | more.get("headers", {})})


_PAUSED = "You are paused: the person who sent you the link can tell you more. Nothing of your work is lost."


def _closed(stands: str, project: int) -> Response:
    """The page of a project on which a rater may not work: it leads to the test, or says why."""
    if stands == "paused":
        return PlainTextResponse(_PAUSED, 403)
    return RedirectResponse(f"/admission/{project}/", 303)


def _page(project: int) -> str:
    return f"/projects/{project}/data/?labeling=1"


async def _trouble(_: Request, error: Exception) -> Response:
    """Label Studio is down or slow: the rater is told to wait; what they wrote stays in the page."""
    _LOG.warning("%s", error if isinstance(error, RewardDanceError) else type(error).__name__)
    detail: dict[str, Any] = {"detail": "the labelling server does not answer; wait a minute and try again"}
    return JSONResponse(detail, 503)
