"""Runs a page for one person until they are done: a free port of loopback, Ctrl-C as good as "finish"."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

import uvicorn
from starlette.applications import Starlette

from warehouse.errors import ConfigError


class Page(Protocol):
    """An application whose page is at `/KEY/`; `close` is called at the end, whatever happened."""

    key: str

    def app(self) -> Starlette: ...

    def close(self) -> None: ...


def _bound(port: int) -> socket.socket:
    """A listening socket of loopback; port 0 is any free one. Raises ConfigError where the port is taken."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError as error:
        bound.close()
        raise ConfigError(f"port {port} cannot be used: {error}", hint="--port 0 takes a free one") from error
    return bound


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def serve(make: Callable[[Callable[[], None]], Page], port: int, ready: Callable[[str], None]) -> None:
    """Serve until the person finishes or Ctrl-C; `ready` is told the page's address once it answers.

    `make` gets what the page calls when the person is done.
    """
    holder: list[_Server] = []

    def finished() -> None:
        holder[0].should_exit = True

    page, bound = make(finished), _bound(port)
    address = f"http://127.0.0.1:{bound.getsockname()[1]}/{page.key}/"
    # Access lines would hold the key and media tokens.
    config = uvicorn.Config(page.app(), log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    holder.append(_Server(config, lambda: ready(address)))
    try:
        holder[0].run(sockets=[bound])
    except KeyboardInterrupt:
        pass
    finally:
        bound.close()
        page.close()
