from __future__ import annotations

from pathlib import Path

import pytest

from rm import instructions
from simulation import vlm
from tests.rm.world import CONFIGS
from warehouse import Warehouse
from warehouse.errors import ConfigError, ConflictError

GOOD = "version: 3\ntemplates: {t2i: {overall: '{prompt} {image_1} {image_2} ?'}}\n"


def test_the_simulation_speaks_the_tiny_models_words() -> None:
    known = set(vlm.vocabulary()) | {"{prompt}", "{image_1}", "{image_2}"}
    for name in ("simulation", "simulation_pointwise"):
        rows = instructions.read_instructions(CONFIGS / f"{name}.yaml")
        assert {(row["task"], row["dimension"]) for row in rows} >= {("t2i", "overall"), ("t2v", "motion_quality")}
        assert not {word for row in rows for word in row["template"].split()} - known


@pytest.mark.parametrize("name", ["simulation", "default"])
def test_files_become_rows_once(warehouse: Warehouse, name: str) -> None:
    config = instructions.InstructionConfig(file=CONFIGS / f"{name}.yaml")
    receipt = instructions.run(config, warehouse)
    rows = warehouse.rows("SELECT * FROM instructions")
    assert sorted(receipt.outputs["instruction_ids"]) == sorted(row["instruction_id"] for row in rows)
    assert {row["form"] for row in rows} == {"pairwise"} and receipt.outputs["version"] >= 1
    assert not instructions.run(config, warehouse).changed


def test_a_version_keeps_its_words(warehouse: Warehouse, tmp_path: Path) -> None:
    file = tmp_path / "i.yaml"
    file.write_text(GOOD)
    instructions.run(instructions.InstructionConfig(file=file), warehouse)
    file.write_text(GOOD.replace(" ?", " better ?"))
    with pytest.raises(ConflictError, match="version 3"):
        instructions.run(instructions.InstructionConfig(file=file), warehouse)


@pytest.mark.parametrize(("text", "what"), [
    ("", "not a file"), ("version: 1\ntemplates: []\n", "not a file"), (GOOD + "extra: 1\n", "not a file"),
    (GOOD.replace("overall", "beauty"), "dimension"), (GOOD.replace("t2i", "t2x"), "task"),
    (GOOD.replace(" {image_2}", ""), "each slot once"), (GOOD.replace("{prompt}", "{prompt} {question}"), "each slot"),
    (GOOD.replace("{image_1} {image_2}", "{image_2} {image_1}"), "must stand after"),
    (GOOD.replace("version: 3", "version: 3\nform: listwise"), "form"),
])
def test_bad_files_are_named(tmp_path: Path, text: str, what: str) -> None:
    file = tmp_path / "i.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=what) as raised:
        instructions.read_instructions(file)
    assert str(file) in str(raised.value)


def test_the_prompt_may_come_after_each_picture(tmp_path: Path) -> None:
    file = tmp_path / "i.yaml"
    file.write_text(GOOD.replace("{prompt} {image_1}", "{image_1} {prompt}").replace("} ?", "} {prompt} ?"))
    assert instructions.read_instructions(file)[0]["template"] == "{image_1} {prompt} {image_2} {prompt} ?"
