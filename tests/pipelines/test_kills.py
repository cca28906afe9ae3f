"""`kill -9` at every stage boundary and at one random moment: the same command ends with the same dataset."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from pipelines.config import load_config
from tests.pipelines.conftest import ROOT, Finish, start

CONFIG = ROOT / "tests" / "pipelines" / "kills.yaml"
STAGES = {entry.name for entry in load_config(CONFIG).stages}
# Ends in a minute or two; the limit is for machines that are busy with other things.
pytestmark = [pytest.mark.prefect, pytest.mark.loop, pytest.mark.timeout(1800)]


def receipts(out: Path) -> set[str]:
    """Names of the stages that have finished."""
    return {path.stem for path in (out / "receipts").glob("[a-z]*.json")}


def kill(process: subprocess.Popen[bytes]) -> None:
    """The run and everything it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill_at_next_boundary(out: Path, environment: dict[str, str]) -> set[str]:
    """Starts the run, kills it as soon as one more stage has its receipt, and returns the names of new receipts."""
    before = receipts(out)
    process = start(CONFIG, out, environment)
    deadline = time.monotonic() + 600
    while receipts(out) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    kill(process)
    return receipts(out) - before


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, finish: Finish) -> dict[str, Any]:
    """The summary of a run that nobody killed, and how long it took."""
    started = time.monotonic()
    code, summary = finish(CONFIG, tmp_path_factory.mktemp("undisturbed") / "out")
    assert code == 0, summary
    return {**summary, "wall_s": time.monotonic() - started}


def same(summary: dict[str, Any], undisturbed: dict[str, Any]) -> None:
    """What a run makes does not depend on how often it was killed; seconds and folders do."""
    assert len(summary["dataset"]["hash"]) >= 32
    for key in ("dataset", "counts", "agreement", "alignment", "shown"):
        assert summary[key] == undisturbed[key], key


def test_kill_9_at_every_stage_boundary(
    tmp_path: Path, finish: Finish, prefect_environment: dict[str, str], undisturbed: dict[str, Any]
) -> None:
    kills = 0
    while receipts(tmp_path / "out") != STAGES:
        assert kill_at_next_boundary(tmp_path / "out", prefect_environment), "no progress between two kills"
        kills += 1
    assert kills > len(STAGES) / 2
    code, summary = finish(CONFIG, tmp_path / "out")
    assert code == 0
    same(summary, undisturbed)


def test_kill_9_at_a_random_moment(
    tmp_path: Path,
    finish: Finish,
    prefect_environment: dict[str, str],
    undisturbed: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = int(os.environ.get("KILL_SEED", random.randrange(10**6)))
    after_s = random.Random(seed).uniform(0.1, 0.9) * undisturbed["wall_s"]
    with capsys.disabled():
        print(f"\nKILL_SEED={seed}: killed after {after_s:.2f} s of {undisturbed['wall_s']:.1f} s")
    process = start(CONFIG, tmp_path / "out", prefect_environment)
    try:
        process.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        kill(process)
    code, summary = finish(CONFIG, tmp_path / "out")
    assert code == 0
    same(summary, undisturbed)
