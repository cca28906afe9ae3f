from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.config import RunConfig, load_config, resolve
from warehouse.errors import ConfigError, NotFoundError

FIRST = {"name": "first", "stage": "a.b:C"}


def config(*stages: dict[str, Any]) -> RunConfig:
    return RunConfig.model_validate({"name": "t", "stages": list(stages)})


def test_a_whole_reference_keeps_its_type() -> None:
    context = {"taste": "x", "first": {"version": 3}}
    assert resolve({"v": "${first.version}", "t": ["d@${first.version}", "${taste}"]}, context) == {
        "v": 3, "t": ["d@3", "x"]}


@pytest.mark.parametrize("text", ["${nobody}", "${first.absent}"])
def test_an_unknown_reference_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError):
        resolve(text, {"first": {}})


def test_a_reference_is_a_dependency() -> None:
    run = config(FIRST, {"name": "second", "stage": "a.b:C", "options": {"x": ["${first.y}"]}})
    assert run.waits_for(run.stages[1]) == {"first"}


@pytest.mark.parametrize("second", [{"after": ["later"]}, {"options": {"x": "${later.y}"}}, {"name": "first"}])
def test_stages_stand_after_what_they_wait_for(second: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        config(FIRST, {"name": "second", "stage": "a.b:C", **second})


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("name: t\nstages: []\nworkerz: 3\n")
    with pytest.raises(ConfigError, match="workerz"):
        load_config(path)


@pytest.mark.parametrize("body", [b"", b"- 1\n", b"name: [", b"\xff\xfe\x00"])
def test_a_file_that_is_no_config(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(body)
    with pytest.raises(ConfigError):
        load_config(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        load_config(tmp_path / "none.yaml")
