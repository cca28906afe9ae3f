"""kill -9 in the middle of a campaign, and the same command again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from annotation import campaign, pairing
from annotation.campaign import CampaignConfig
from tests.annotation.world import candidates
from warehouse import Warehouse, open_warehouse

TABLES = ("votes", "vote_revisions", "rationales", "annotators", "annotation_tasks", "campaigns", "watermarks")
ROOT = Path(__file__).resolve().parents[2]
# Votes are written in chunks of 20; the process kills itself at the named point, with no chance to tidy up.
CAMPAIGN = """
import os, signal, sys
from annotation import campaign, votes
from warehouse import open_warehouse
from warehouse.stage import on_progress
url, point = sys.argv[1:]
votes._CHUNK = 20
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def heard(done, total, note):
    if point == "first chunk" or point == "last chunk" and done == total:
        die()
with open_warehouse(url) as warehouse, on_progress(heard):
    config = campaign.CampaignConfig(name="c", backend="tests.annotation.world:Scripted", rationale_share=0.5)
    campaign.run(config, warehouse)
"""
CONFIG = CampaignConfig(name="c", backend="tests.annotation.world:Scripted", rationale_share=0.5)


def _campaign(url: Path, point: str) -> int:
    """Exit status of the campaign in a process of its own."""
    done = subprocess.run([sys.executable, "-c", CAMPAIGN, str(url), point], cwd=ROOT, capture_output=True, timeout=250)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode


def _rows(warehouse: Warehouse) -> dict[str, tuple[int, str]]:
    """Number of rows and digest of every table that a campaign writes."""
    return {table: (warehouse.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"],
                    warehouse.digest(f"SELECT * FROM {table}")) for table in TABLES}


def test_killed_twice_gives_the_votes_of_an_undisturbed_run(warehouse: Warehouse, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    with open_warehouse(str(torn)) as opened:
        for prepared in (warehouse, opened):
            candidates(prepared, prompts=8, each=3)
            pairing.run(pairing.PairingConfig(pairs_per_prompt=2), prepared)
    campaign.run(CONFIG, warehouse)
    expected, seen = _rows(warehouse), []
    for point in ("first chunk", "last chunk"):
        assert _campaign(torn, point) == -signal.SIGKILL
        with open_warehouse(str(torn)) as opened:
            seen.append(opened.rows("SELECT count(*) AS n FROM votes")[0]["n"])
            assert not opened.rows("SELECT * FROM runs WHERE stage = 'campaign'")
    assert 0 < seen[0] < seen[1] == expected["votes"][0]
    with open_warehouse(str(torn)) as opened:
        assert campaign.run(CONFIG, opened).changed
        assert _rows(opened) == expected
