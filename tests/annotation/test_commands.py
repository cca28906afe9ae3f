"""`annotate report`, `plan` and `payroll` on a simulated campaign: what they answer and what they write."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path

import pytest

from annotation import campaign, consensus, pairing
from pipelines.cli import raters
from tests.annotation.world import candidates
from warehouse import open_warehouse
from warehouse.errors import NotFoundError


@pytest.fixture(scope="module")
def voted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A warehouse with 16 pairs, three votes each, and their consensus."""
    folder = str(tmp_path_factory.mktemp("voted"))
    with open_warehouse(folder) as opened:
        candidates(opened, prompts=8, each=3)
        pairing.run(pairing.PairingConfig(pairs_per_prompt=2), opened)
        asked = campaign.CampaignConfig(name="first", backend="tests.annotation.world:Scripted")
        campaign_id = campaign.run(asked, opened).outputs["campaign_id"]
        consensus.run(consensus.ConsensusConfig(campaign_ids=(campaign_id,)), opened)
    return folder


def _answer(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_report(voted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raters.report("first", tmp_path / "page.html", voted, True)
    found = _answer(capsys)
    assert found["campaign"] == "first" and found["tasks"] == {"done": 48}
    page = (tmp_path / "page.html").read_text()
    outside = ('src="http', 'href="http', "url(http", "<script")
    assert "rater 1" not in page and not any(mark in page for mark in outside)
    raters.report("first", tmp_path / "page.html", voted, False)
    assert "overall: alpha" in capsys.readouterr().out
    with pytest.raises(NotFoundError, match="second"):
        raters.report("second", None, voted, True)


def test_plan(voted: str, capsys: pytest.CaptureFixture[str]) -> None:
    raters.plan(1000, campaign="first", start=datetime(2026, 3, 2), price_per_hour=20.0, warehouse=voted, json=True)
    found = _answer(capsys)
    assert found["seconds_per_vote"] == 3.0 and found["from_history"] == {"seconds": True, "disagreement": True,
                                                                         "pace": False}
    raters.plan(1000, warehouse=voted)
    assert "from history" in capsys.readouterr().out


def test_payroll(voted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raters.payroll("first", csv=tmp_path / "pay.csv", warehouse=voted, json=True)
    found = _answer(capsys)
    assert (found["raters"], found["accepted"], found["hours"]) == (3, 48, 0.04)
    rows = list(csv.DictReader((tmp_path / "pay.csv").open()))
    assert [(row["accepted"], row["seconds"]) for row in rows] == [("16", "48.0")] * 3
    assert all(row["rater"].startswith("rater-") for row in rows)


def test_commands_are_registered() -> None:
    from pipelines.cli.annotate import app

    names = {command.name for command in app.registered_commands}
    assert {"report", "plan", "payroll", "extra", "vote"} <= names
