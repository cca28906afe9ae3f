"""The server's process: model and references are loaded first, so that whoever is answered is answered by them."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from rm.reward_model import load_reward_model
from rm.server.app import RewardServer
from rm.server.references import ranked
from rm.server.settings import ServerSettings
from warehouse import Warehouse
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
        raise ConfigError(f"{host}:{port} cannot be used: {error}", hint="--port 0 takes a free one") from error
    return listening


def make_server(warehouse: Warehouse, model: str, settings: ServerSettings, token: str = "",
                device: str = "cpu") -> RewardServer:
    """Model and references, loaded; raises NotFoundError, or ConfigError where the default question is none of it."""
    loaded = load_reward_model(warehouse, model, device)
    loaded.card.instruction(settings.task, settings.dimension)
    server = RewardServer(loaded, settings, warehouse.media, token)
    if settings.rank_key:
        server.keep(ranked(warehouse, settings.rank_key), warehouse.media)
    return server


def run(server: RewardServer, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; open requests are finished first."""
    config = uvicorn.Config(server.doorman, log_level="warning", access_log=False, lifespan="on",
                            timeout_graceful_shutdown=10)
    _Server(config, ready).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()
