from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from warehouse import Warehouse
from warehouse.stage import Recorder, StageConfig, on_progress, run_stage


class _Config(StageConfig):
    value: int = 1
    folder: Path = Field(default=Path("x"), json_schema_extra={"place": True})


def test_a_second_run_does_nothing(warehouse: Warehouse) -> None:
    calls: list[str] = []

    def body(recorder: Recorder) -> None:
        calls.append(recorder.run_id)
        recorder.count("rows", 2)
        recorder.output("answer", {"x": 1})

    first = run_stage("demo", _Config(), warehouse, {"a": "1"}, body)
    second = run_stage("demo", _Config(folder=Path("elsewhere")), warehouse, {"a": "1"}, body)
    other = run_stage("demo", _Config(value=2), warehouse, {"a": "1"}, body)
    assert first.changed and not second.changed and other.changed and len(calls) == 2
    assert second.outputs == {"answer": {"x": 1}} and second.run_id == first.run_id != other.run_id


def test_a_failed_stage_leaves_no_receipt(warehouse: Warehouse) -> None:
    def fail(_: Recorder) -> None:
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        run_stage("demo", _Config(), warehouse, {}, fail)
    assert run_stage("demo", _Config(), warehouse, {}, lambda _: None).changed


def test_rejects_are_kept_and_the_limit_is_noticed(warehouse: Warehouse) -> None:
    def body(recorder: Recorder) -> None:
        recorder.count("read", 4)
        for row in range(3):
            recorder.reject(source="file.csv", location=f"file.csv:{row}", reason="bad_row", detail="empty prompt")

    receipt = run_stage("demo", _Config(), warehouse, {}, body)
    assert receipt.over_limit and receipt.rejected == {"bad_row": 3}
    assert warehouse.rows("SELECT count(*) AS n FROM rejects")[0]["n"] == 3


def test_progress_reaches_the_listener(warehouse: Warehouse) -> None:
    seen: list[tuple[int, int, str]] = []
    with on_progress(lambda *event: seen.append(event)):
        run_stage("demo", _Config(), warehouse, {}, lambda recorder: recorder.progress(1, 2, "half"))
    assert seen == [(1, 2, "half")]
