from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.results import next_commands, program, result_rows
from pipelines.summary import place, skeleton


def filled() -> dict[str, Any]:
    document = skeleton()
    document.update(name="demo", warehouse="/far/demo/warehouse", changed=True, simulated=True)
    document["counts"] = {"prompts": 4, "candidates": {"images": 8, "clips": 2}, "pairs": 3, "votes": 9, "rejects": 0}
    return document


def test_all_keys_are_there_without_any_stage() -> None:
    document = skeleton()
    assert set(document["rm"]["accuracy_id"]) == {"value", "n", "ci_low", "ci_high"}
    assert set(document["placebo"]) == {"shuffled_votes", "no_votes"}
    assert set(document["alignment"]) == {"image", "video"}


def test_place_makes_the_way() -> None:
    document: dict[str, object] = {}
    place(document, "a.b.c", 1)
    assert document == {"a": {"b": {"c": 1}}}


def test_what_was_not_measured_is_not_shown() -> None:
    rows = result_rows(filled())
    assert rows == [("made", "4 prompts, 8 images, 2 clips"), ("voted on", "3 pairs, 9 votes, 0 rejects")]


def test_shares_are_shown_in_percent_with_their_interval() -> None:
    document = filled()
    document["rm"]["accuracy_id"] = {"value": 0.65, "n": 40, "ci_low": 0.5, "ci_high": 0.78}
    assert dict(result_rows(document))["reward model agrees with gold"] == "65.0 % [50.0, 78.0], 40 pairs"


def test_next_commands_carry_the_warehouse_and_the_place_of_the_real_run() -> None:
    *commands, real = next_commands(filled())
    assert all("--warehouse /far/demo/warehouse" in command for command in commands)
    run, report = real.split(" && ")
    assert run.endswith("run configs/real_media.yaml --out /far/real_media") and report.endswith("report /far/demo")


def test_raters_who_never_judged_the_same_pair_have_no_agreement() -> None:
    document = filled()
    document["agreement"]["alpha"] = {"overall": None, "motion_quality": None}
    assert dict(result_rows(document))["agreement of raters (alpha)"] == "no pair has two votes"


def test_a_command_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / ".venv" / "bin" / "rewarddance"
    script.parent.mkdir(parents=True)
    script.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(script)])
    assert program() == ".venv/bin/rewarddance"
    monkeypatch.setenv("PATH", str(script.parent))
    assert program() == "rewarddance"
