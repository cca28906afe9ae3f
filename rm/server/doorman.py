"""Who may come in: the bearer token, the size of a body, how many requests are open; and what is counted of each.

Plain ASGI, so that a body is refused while it arrives and never held whole. /health and /metrics ask for no token:
load balancers and Prometheus read them.
"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from rm.server.metrics import Metrics

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
_OPEN = ("/health", "/metrics")
_KNOWN = ("/score", "/references", "/compute", "/models", "/rewards", *_OPEN)


class Doorman:
    """In front of an app; an empty `token` lets everybody in."""

    def __init__(self, app: App, token: str, body_bytes: int, requests: int, metrics: Metrics) -> None:
        self._app, self._token, self._limit, self._requests = app, token.encode(), body_bytes, requests
        self._metrics, self._inside = metrics, 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in _KNOWN else "other"
        clock, status = time.perf_counter(), [500]

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
            await send(message)

        try:
            await self._enter(scope, path, receive, noted)
        finally:
            self._metrics.requests.labels(path, status[0]).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - clock)

    async def _enter(self, scope: MutableMapping[str, Any], path: str, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if path not in _OPEN and not self._allowed(headers.get(b"authorization", b"")):
            return await _refuse(send, 401, "no valid bearer token", {"WWW-Authenticate": "Bearer"})
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._limit:
            return await _refuse(send, 413, f"a request has at most {self._limit} bytes", {"Connection": "close"})
        if path not in _OPEN and self._inside >= self._requests:
            return await _refuse(send, 429, f"{self._inside} requests are open", {"Retry-After": "1"})
        self._inside += 1
        try:
            await self._app(scope, self._counted(receive), send)
        finally:
            self._inside -= 1
        return None

    def _allowed(self, header: bytes) -> bool:
        return not self._token or hmac.compare_digest(header, b"Bearer " + self._token)

    def _counted(self, receive: Receive) -> Receive:
        """The body, until it is too large: a client may send more than it announced."""
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise HTTPException(413, f"a request has at most {self._limit} bytes", {"Connection": "close"})
            return message

        return counted


async def _refuse(send: Send, status: int, message: str, headers: dict[str, str]) -> None:
    body = json.dumps({"error": {"type": "Refused", "message": message, "where": "", "hint": ""}}).encode()
    named = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-type", b"application/json"), *named]})
    await send({"type": "http.response.body", "body": body})
