"""A run on a file system that is really full: it says so, and the same command ends well once there is room.

The file system is a tmpfs mounted in a namespace of the test's own, which needs Linux with user namespaces.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.pipelines.conftest import ROOT, Finish
from tests.pipelines.test_whole_loop import STEP

# Ends in a minute or two; the limit is for machines that are busy with other things.
pytestmark = [pytest.mark.prefect, pytest.mark.loop, pytest.mark.timeout(1800)]

SCRIPT = """
mount -t tmpfs -o size=16m none "$DISK" || exit 77
run() { "$PYTHON" -m pipelines.cli run "$CONFIG" --out "$DISK/out" --json > "$1"; echo $? > "$1.code"; }
run "$LOG/first"
df --output=avail "$DISK" | tail -1 > "$LOG/room"
mount -o remount,size=200m "$DISK"
run "$LOG/second"
"""


def namespaces() -> bool:
    """True where this user may mount a file system in a namespace."""
    unshare = shutil.which("unshare")
    return bool(unshare) and subprocess.run([str(unshare), "-rm", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not namespaces(), reason="no user namespaces to mount a small disk in")
def test_a_full_disk_is_named_and_nothing_is_lost(
    tmp_path: Path, finish: Finish, prefect_environment: dict[str, str]
) -> None:
    stages = [{"name": "first", "stage": STEP, "options": {"source": "one", "n": 2}},
              {"name": "large", "stage": "tests.pipelines.fill:FillConfig",
               "options": {"source": "${first.digest}", "files": 12, "size_px": 800},
               "summary": {"dataset.hash": "digest"}}]
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump({"name": "full", "stages": stages}))
    (tmp_path / "disk").mkdir()
    environment = {**prefect_environment, "PYTHON": sys.executable, "CONFIG": str(config), "LOG": str(tmp_path),
                   "DISK": str(tmp_path / "disk"), "PYTHONPATH": str(ROOT)}
    command = ["unshare", "-rm", "sh", "-c", SCRIPT]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=900)
    if done.returncode == 77:
        pytest.skip("mounting is not allowed here")
    error = json.loads((tmp_path / "first").read_text())["error"]
    assert (tmp_path / "first.code").read_text().strip() == "1"
    assert "room" in error["message"] and "space" in error["hint"], error
    assert (tmp_path / "second.code").read_text().strip() == "0", done.stderr
    second = json.loads((tmp_path / "second").read_text())
    code, undisturbed = finish(config, tmp_path / "roomy")
    assert (code, second["dataset"]["hash"]) == (0, undisturbed["dataset"]["hash"])
    assert second["counts"] == undisturbed["counts"]
    assert os.listdir(tmp_path / "disk") == []
