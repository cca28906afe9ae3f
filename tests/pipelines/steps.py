"""Stages for tests of the flow: real rows in a real warehouse, no model. A marker file makes one wait to be killed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pydantic import Field

from warehouse import Warehouse
from warehouse.errors import InvalidInputError
from warehouse.records import prompt_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage


class WriteConfig(StageConfig):
    """`n` prompts of `source`; `wait_marker`, while it exists, makes the stage wait in its middle."""

    source: str
    n: int = 3
    bad: int = 0
    fail: bool = False
    wait_marker: str = Field(default="", json_schema_extra={"place": True})


def run(config: WriteConfig, warehouse: Warehouse) -> Receipt:
    """Writes the prompts, one commit each."""

    def body(recorder: Recorder) -> None:
        for index in range(config.n):
            row = prompt_row(f"{config.source} {index}", "t2i", "image", config.source)
            recorder.count("written", warehouse.merge("prompts", [row], run_id=recorder.run_id))
            recorder.progress(index + 1, config.n)
            _wait(config, index)
        for index in range(config.bad):
            recorder.reject(source=config.source, location=str(index), reason="bad")
        if config.fail:
            raise InvalidInputError("asked to fail", where=config.source, hint="do not ask")
        recorder.output("digest", warehouse.digest("SELECT * FROM prompts WHERE source = ?", [config.source]))

    return run_stage("write", config, warehouse, {}, body)


def _wait(config: WriteConfig, index: int) -> None:
    marker = Path(config.wait_marker) if config.wait_marker else None
    if marker is not None and index == 1 and marker.exists():
        marker.with_suffix(".pid").write_text(str(os.getpid()))
        while marker.exists():
            time.sleep(0.02)
