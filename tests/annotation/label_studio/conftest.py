"""One real Label Studio with three raters and the gateway before it, for all tests of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from annotation.label_studio import environment, state
from annotation.label_studio.client import StudioClient
from annotation.label_studio.up import Wishes, down, up
from tests.annotation.conftest import missing

NAMES = ("ann", "bob", "cleo")
MISSING = "Label Studio is not installed for the tests: rewarddance doctor --install label-studio"


@dataclass(frozen=True)
class Studio:
    """The running pair: `root` is the warehouse's folder, `links` the raters' personal addresses."""

    root: Path
    links: dict[str, str]

    @property
    def server(self) -> state.Server:
        found = state.load(state.folder(self.root))
        assert found is not None
        return found

    @property
    def owner(self) -> StudioClient:
        return StudioClient(self.server.url, self.server.token)


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    if not environment.prepared():
        missing(MISSING)
    root = tmp_path_factory.mktemp("studio") / "warehouse"
    try:
        # Without a bell, so that no answer is taken in before a test does.
        answer = up(str(root), Wishes(NAMES, bell=False), lambda question: False, lambda text: None)
        yield Studio(root, answer["links"])
    finally:
        down(str(root))
