"""The warehouse of two_versions.py, built once: opened for tests that read, copied for tests that write."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.warehouse import two_versions
from tests.warehouse.two_versions import Ids
from warehouse import Warehouse, open_warehouse


@pytest.fixture(scope="session")
def two_versions_root(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ids]:
    root = tmp_path_factory.mktemp("two-versions") / "warehouse"
    with open_warehouse(str(root)) as warehouse:
        return root, two_versions.fill(warehouse)


@pytest.fixture(scope="session")
def ids(two_versions_root: tuple[Path, Ids]) -> Ids:
    return two_versions_root[1]


@pytest.fixture(scope="session")
def calm(two_versions_root: tuple[Path, Ids]) -> Iterator[Warehouse]:
    """To read only."""
    with open_warehouse(str(two_versions_root[0])) as warehouse:
        yield warehouse


@pytest.fixture
def mine(two_versions_root: tuple[Path, Ids], tmp_path: Path) -> Iterator[Warehouse]:
    """A copy to write to."""
    shutil.copytree(two_versions_root[0], tmp_path / "mine")
    with open_warehouse(str(tmp_path / "mine")) as warehouse:
        yield warehouse
