from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from annotation.gateway.listening import bound
from rm.families import load_family
from rm.model_folder import ModelCard
from rm.reward_model import RewardModel
from rm.server.app import RewardServer
from rm.server.settings import ServerSettings
from tests.rm import world
from warehouse.media.encode import encode_png
from warehouse.media.store import MediaStore

Start = Callable[..., RewardServer]


@pytest.fixture(scope="session")
def served_model(tmp_path_factory: pytest.TempPathFactory) -> RewardModel:
    """A random model that was asked overall for images and clips."""
    folder = world.checkpoint(tmp_path_factory.mktemp("served") / "base")
    family = load_family(folder)
    card = ModelCard(model_id="tiny", name="tiny", max_frames=3,
                     instructions={task: {"overall": world.TEMPLATE} for task in ("t2i", "t2v")})
    return RewardModel(family, family.load_model(folder), card)


@pytest.fixture
def start(served_model: RewardModel, tmp_path: Path) -> Start:
    """A server over the tiny model; settings and token as given."""
    def make(token: str = "", model: Any = None, **settings: Any) -> RewardServer:
        return RewardServer(model or served_model, ServerSettings(**settings), MediaStore(tmp_path / "media"), token)

    return make


@pytest.fixture
def client(start: Start) -> Any:
    with TestClient(start().doorman) as opened:
        yield opened


def png(seed: int, side: int = 32) -> str:
    """A noisy picture in base64."""
    return base64.b64encode(encode_png(world.frames(seed, side=side).pixels[0])).decode()


def item(shown: int, reference: int | None = None, **more: Any) -> dict[str, Any]:
    """An item of POST /score."""
    found: dict[str, Any] = {"prompt": "a red circle", "candidate": {"base64": png(shown)}, **more}
    return found if reference is None else {**found, "reference": {"base64": png(reference)}}


@contextmanager
def live(server: RewardServer) -> Iterator[str]:
    """The address of a server that answers over real HTTP."""
    listening = bound("127.0.0.1", 0)
    running = uvicorn.Server(uvicorn.Config(server.doorman, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join(20)
        listening.close()
