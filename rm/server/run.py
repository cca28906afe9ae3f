"""The server's process: model and references are loaded first, so that whoever is answered is answered by them."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from annotation.gateway.listening import Announcing
from rm.reward_model import load_reward_model
from rm.server.app import RewardServer
from rm.server.references import ranked
from rm.server.settings import ServerSettings
from warehouse import Warehouse


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
    Announcing(config, ready).run(sockets=[listening])
