from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rm import train
from tests.rm import world
from warehouse import Warehouse, open_warehouse


@dataclass(frozen=True)
class Place:
    """A warehouse with the dataset bright@1, and a base checkpoint."""

    warehouse: Warehouse
    base: Path


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One world for all tests: each trains under a name of its own."""
    root = tmp_path_factory.mktemp("rm")
    with open_warehouse(str(root / "warehouse")) as opened:
        world.dataset(opened)
        yield Place(opened, world.checkpoint(root / "base"))


@pytest.fixture
def trained(place: Place) -> tuple[Place, str]:
    config = train.TrainConfig(name="bright", base=str(place.base), dataset="bright", version=1, steps=40,
                               batch_pairs=8, learning_rate=2e-3, warmup_steps=5, validate_every=10, patience=0)
    return place, str(train.run(config, place.warehouse).outputs["model_id"])
