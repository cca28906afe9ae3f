"""Runs a page for one person until they are done: a free port of loopback, Ctrl-C as good as "finish"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import uvicorn
from starlette.applications import Starlette

from annotation.gateway.listening import Announcing, bound


class Page(Protocol):
    """An application whose page is at `/KEY/`; `close` is called at the end, whatever happened."""

    key: str

    def app(self) -> Starlette: ...

    def close(self) -> None: ...


def serve(make: Callable[[Callable[[], None]], Page], port: int, ready: Callable[[str], None]) -> None:
    """Serve until the person finishes or Ctrl-C; `ready` is told the page's address once it answers.

    `make` gets what the page calls when the person is done.
    """
    holder: list[Announcing] = []

    def finished() -> None:
        holder[0].should_exit = True

    page, listening = make(finished), bound("127.0.0.1", port)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/{page.key}/"
    # Access lines would hold the key and media tokens.
    config = uvicorn.Config(page.app(), log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    holder.append(Announcing(config, lambda: ready(address)))
    try:
        holder[0].run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()
        page.close()
