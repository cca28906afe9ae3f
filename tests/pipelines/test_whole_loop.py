"""The flow on a real Prefect server and a real warehouse: order, resumption after kill -9, rejects, failures."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.pipelines.conftest import ROOT, Finish, start

STEP = "tests.pipelines.steps:WriteConfig"
# Ends in a minute or two; the limit is for machines that are busy with other things.
pytestmark = [pytest.mark.prefect, pytest.mark.loop, pytest.mark.timeout(1800)]


def write_config(folder: Path, **last: Any) -> Path:
    stages = [{"name": "first", "stage": STEP, "options": {"source": "one"}},
              {"name": "beside", "stage": STEP, "options": {"source": "two"}},
              {"name": "last", "stage": STEP, "after": ["beside"], "options": {"source": "${first.digest}", **last},
               "summary": {"dataset.hash": "digest"}}]
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump({"name": "steps", "stages": stages}))
    return path


def test_a_run_and_its_second_run(tmp_path: Path, finish: Finish) -> None:
    code, first = finish(write_config(tmp_path), tmp_path / "out")
    assert (code, first["changed"], first["counts"]["prompts"]) == (0, True, 9)
    jsonschema.validate(first, json.loads((ROOT / "pipelines/cli/summary.schema.json").read_text()))
    assert Path(first["report"]).read_text(encoding="utf-8").startswith("<!doctype html>")
    nursery = tmp_path / "out" / "logs" / "nursery.log"
    nursery.unlink()
    code, second = finish(tmp_path / "run.yaml", tmp_path / "out")
    assert (code, second["changed"]) == (0, False)
    assert not nursery.exists(), "a run that has nothing to do starts no process"
    assert {**second, "changed": True} == first


def test_kill_9_in_the_middle_of_a_stage(
    tmp_path: Path, finish: Finish, prefect_environment: dict[str, str]
) -> None:
    marker = tmp_path / "wait"
    marker.touch()
    config = write_config(tmp_path, wait_marker=str(marker))
    process = start(config, tmp_path / "out", prefect_environment)
    deadline = time.monotonic() + 600
    while not marker.with_suffix(".pid").exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    marker.unlink()
    code, resumed = finish(config, tmp_path / "out")
    (tmp_path / "clean").mkdir()
    _, undisturbed = finish(write_config(tmp_path / "clean"), tmp_path / "clean" / "out")
    assert code == 0
    assert resumed["dataset"]["hash"] == undisturbed["dataset"]["hash"]
    assert resumed["counts"] == undisturbed["counts"]


def test_rejects_over_the_limit_stop_the_run_with_3(tmp_path: Path, finish: Finish) -> None:
    code, document = finish(write_config(tmp_path, bad=9), tmp_path / "out")
    assert (code, document["error"]["type"]) == (3, "RejectLimitError")


def test_a_failing_stage_gives_its_own_message(tmp_path: Path, finish: Finish) -> None:
    code, document = finish(write_config(tmp_path, fail=True), tmp_path / "out")
    assert code == 1
    assert "asked to fail" in document["error"]["message"]
    assert document["error"]["hint"] == "do not ask"


def test_a_wrong_option_is_a_config_error(tmp_path: Path, finish: Finish) -> None:
    code, document = finish(write_config(tmp_path, colour="red"), tmp_path / "out")
    assert code == 2
    assert "colour" in document["error"]["message"]
