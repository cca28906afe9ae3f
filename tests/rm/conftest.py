from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rm import world
from warehouse import Warehouse, open_warehouse


@dataclass(frozen=True)
class Place:
    """A warehouse with the dataset bright@1, and a base checkpoint."""

    warehouse: Warehouse
    base: Path


@pytest.fixture(scope="session")
def template_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rm")
    world.checkpoint(root / "base")
    with open_warehouse(str(root / "warehouse")) as opened:
        world.dataset(opened, images=48, clips=12)
    return root


@pytest.fixture
def place(template_root: Path, tmp_path: Path) -> Iterator[Place]:
    """A copy of the world for one test."""
    shutil.copytree(template_root / "warehouse", tmp_path / "warehouse")
    with open_warehouse(str(tmp_path / "warehouse")) as opened:
        yield Place(opened, template_root / "base")
