"""One Prefect server for all tests that start runs, and how to start one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
Finish = Callable[..., tuple[int, dict[str, Any]]]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use Prefect keep to processes of their own: what it leaves running makes forked data loaders fail."""
    for item in items:
        if "prefect_environment" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.loop)


@pytest.fixture(scope="session")
def prefect_environment() -> Iterator[dict[str, str]]:
    """Environment of processes that use the session's server instead of starting their own."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    with prefect_test_harness(server_startup_timeout=120):
        yield {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value()), "OMP_NUM_THREADS": "1"}


def command(config: Path, out: Path) -> list[str]:
    """The command line of a run that answers in JSON."""
    return [sys.executable, "-m", "pipelines.cli", "run", str(config), "--out", str(out), "--json"]


def run_to_end(config: Path, out: Path, environment: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON answer of a run."""
    done = subprocess.run(command(config, out), capture_output=True, text=True, cwd=ROOT, env=environment, timeout=900)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def start(config: Path, out: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A run in a process group of its own, to be killed with everything it started."""
    return subprocess.Popen(command(config, out), cwd=ROOT, env=environment, start_new_session=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def finish(prefect_environment: dict[str, str]) -> Finish:
    """`finish(config, out)`: a whole run on the session's server; returns exit code and answer."""
    return lambda config, out: run_to_end(config, out, prefect_environment)
