"""A server process's beginning: its socket, bound before anything slow, and the moment at which it answers."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from warehouse.errors import ConfigError

_BACKLOG = 1024


def bound(host: str, port: int) -> socket.socket:
    """A listening socket, port 0 is any free one; raises ConfigError where the port is taken."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(f"{host}:{port} cannot be used: {error}", hint="port 0 takes a free one") from error
    return listening


class Announcing(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()
