"""The page on which a rater takes the test of a campaign, and the three addresses that it calls.

It knows no raters' links and no Label Studio: whoever mounts it says whose exam a request is about, and runs the work
where the warehouse may be used. Media come by signed addresses, as everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from annotation.exam import Exam
from annotation.gateway.page import whole_page
from warehouse.errors import ConfigError, ConflictError, InvalidInputError, RewardDanceError

_PAGE = Path(__file__).with_name("exam.html")
_LARGEST_BODY = 4096
_STATUS = ((ConflictError, 409), (ConfigError, 409), (InvalidInputError, 400))
# What is done with the exam of a request; None where the request is nobody's.
Work = Callable[[Exam], Mapping[str, Any]]
Run = Callable[[Request, Work], Awaitable[Mapping[str, Any] | None]]


def exam_routes(run: Run, link: Callable[[str], str], work: Callable[[Request], str]) -> list[Route]:
    """Routes below one exam's address; `link` makes a medium's address, `work` where an admitted rater goes on."""

    async def page(request: Request) -> Response:
        if await run(request, lambda exam: {}) is None:
            return HTMLResponse("<!doctype html>open your personal link first", 403)
        return whole_page(_PAGE)

    async def state(request: Request) -> Response:
        return await _answered(request, lambda exam: exam.state(link) | {"work": work(request)})

    async def answer(request: Request) -> Response:
        try:
            dimension, number, label = _given(await request.body())
        except InvalidInputError as error:
            return JSONResponse({"error": error.message}, 400)
        return await _answered(request, lambda exam: exam.answer(dimension, number, label))

    async def _answered(request: Request, wanted: Work) -> Response:
        try:
            said = await run(request, wanted)
        except RewardDanceError as error:
            status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
            return JSONResponse({"error": error.message, "hint": error.hint}, status)
        if said is None:
            return JSONResponse({"error": "open your personal link first"}, 403)
        return JSONResponse(said, headers={"Cache-Control": "no-store"})

    return [Route("/", page), Route("/state", state), Route("/answer", answer, methods=["POST"])]


def _given(body: bytes) -> tuple[str, int, str]:
    """(dimension, number, label) of an answer; InvalidInputError for anything else."""
    try:
        said = json.loads(body) if len(body) <= _LARGEST_BODY else None
    except ValueError:
        said = None
    if isinstance(said, dict):
        dimension, number, label = said.get("dimension"), said.get("number"), said.get("label")
        if isinstance(dimension, str) and type(number) is int and isinstance(label, str):
            return dimension, number, label
    raise InvalidInputError("an answer is a JSON object of dimension, number and label")
