"""Fixtures that every room shares."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests ask for a few rows at a time, from several processes side by side.
os.environ.setdefault("REWARDDANCE_THREADS", "1")

from warehouse import Warehouse, open_warehouse

# The same examples every time, however busy the machine; `pytest --hypothesis-profile=explore` looks for new ones.
settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=500, print_blob=True)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty warehouse, to copy: opening a copy costs half of making one."""
    root = tmp_path_factory.mktemp("empty") / "warehouse"
    open_warehouse(str(root)).close()
    return root


@pytest.fixture
def warehouse(empty_warehouse: Path, tmp_path: Path) -> Iterator[Warehouse]:
    """An empty warehouse in a folder of its own."""
    shutil.copytree(empty_warehouse, tmp_path / "warehouse")
    with open_warehouse(str(tmp_path / "warehouse")) as opened:
        yield opened
