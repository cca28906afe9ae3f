"""Writers in processes of their own: together, and killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from warehouse import open_warehouse

# An acknowledgement is one line, written only after the commit has returned; a batch is two tables.
WRITER = """
import sys
from warehouse import open_warehouse
url, name, batches = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open_warehouse(url) as w:
    for i in range(batches):
        with w.commit():
            w.merge("prompts", [{"prompt_id": f"{name}-{i}-{j}"} for j in range(3)])
            w.merge("media", [{"media_id": f"{name}-{i}"}])
        print(f"{name}-{i}", flush=True)
"""


def _start(url: str, name: str, batches: int, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen([sys.executable, "-c", WRITER, url, name, str(batches)], stdout=out)


def _check(url: str, acknowledged: set[str]) -> None:
    with open_warehouse(url) as warehouse:
        media = [row["media_id"] for row in warehouse.rows("SELECT media_id FROM media")]
        prompts = [row["prompt_id"] for row in warehouse.rows("SELECT prompt_id FROM prompts")]
    assert acknowledged <= set(media)
    assert len(media) == len(set(media)) and len(prompts) == len(set(prompts))
    assert set(prompts) == {f"{name}-{j}" for name in media for j in range(3)}


def test_three_writers_lose_nothing(tmp_path: Path) -> None:
    url, log = str(tmp_path / "w"), tmp_path / "log"
    writers = [_start(url, f"w{i}", 5, log) for i in range(3)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    acknowledged = set(log.read_text().split())
    assert len(acknowledged) == 15
    _check(url, acknowledged)


def test_killed_writers_lose_nothing_acknowledged(tmp_path: Path) -> None:
    url, acknowledged = str(tmp_path / "w"), set[str]()
    open_warehouse(url).close()
    for round_number in range(3):
        log = tmp_path / f"log{round_number}"
        writers = [_start(url, f"w{i}", 10_000, log) for i in range(2)]
        try:
            deadline = time.monotonic() + 60
            while log.read_bytes().count(b"\n") < 6 + round_number:
                if time.monotonic() > deadline:
                    pytest.fail("the writers acknowledged too little in a minute")
                time.sleep(0.01)
        finally:
            for writer in writers:
                writer.kill()
                writer.wait()
        acknowledged |= {line.decode() for line in log.read_bytes().splitlines(keepends=False)}
        _check(url, acknowledged)
