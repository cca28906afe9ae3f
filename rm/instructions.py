"""Stage `instructions`: question templates from YAML into rows. The wording lives in configs/instructions only.

A file names a version, a form and, per task and dimension, a template with the slots {prompt} {image_1} {image_2};
image 1 is the reference and must come first, because all candidates share what stands before image 2. Templates of the
pointwise form show image 1 alone. Tasks that start from a picture (i2v, edit) show it at {condition}; {references}
takes further references, as many as there are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warehouse import Warehouse
from warehouse.errors import ConfigError, ConflictError
from warehouse.hashing import sha256_hex
from warehouse.records import DIMENSIONS, TASKS, Row, instruction_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_SLOT = re.compile(r"\{(\w*)\}")
_WANTED = {"pairwise": ["image_1", "image_2", "prompt"], "pointwise": ["image_1", "prompt"]}
_FROM_A_PICTURE = ("i2v", "edit")


class InstructionConfig(StageConfig):
    """`file`: YAML with version, form and templates."""

    file: Path = Field(json_schema_extra={"place": True})


class InstructionFile(BaseModel):
    """The YAML's content: templates[task][dimension]."""

    model_config = ConfigDict(extra="forbid")
    version: int = Field(ge=1)
    form: str = "pairwise"
    templates: dict[str, dict[str, str]] = Field(min_length=1)


def read_instructions(path: Path) -> list[Row]:
    """Rows of a template file; raises ConfigError that names the task and dimension of a template at fault."""
    try:
        loaded: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        content = InstructionFile.model_validate(loaded)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"not a file of instructions: {error}", where=str(path),
                          hint="see configs/instructions/default.yaml") from error
    return [_row(content, task, dimension, template, path) for task, by_dimension in content.templates.items()
            for dimension, template in by_dimension.items()]


def _row(content: InstructionFile, task: str, dimension: str, template: str, path: Path) -> Row:
    where = f"{path}: {task}/{dimension}"
    text = " ".join(template.split()) if "\n" not in template.strip() else template.strip()
    if content.form not in _WANTED:
        raise ConfigError(f"unknown form {content.form!r}", where=where, hint=f"one of {', '.join(_WANTED)}")
    for kind, value, known in (("task", task, TASKS), ("dimension", dimension, DIMENSIONS)):
        if value not in known:
            raise ConfigError(f"unknown {kind} {value!r}", where=where, hint=f"one of {', '.join(known)}")
    _check_slots(content.form, task, text, where)
    return instruction_row(task, dimension, content.version, content.form, text)


def _check_slots(form: str, task: str, text: str, where: str) -> None:
    found = _SLOT.findall(text)
    wanted = [*_WANTED[form], *(["condition"] if task in _FROM_A_PICTURE else [])]
    once = [name for name in found if name not in ("references", "prompt")]
    if sorted([*once, *(["prompt"] if "prompt" in found else [])]) != sorted(wanted) or found.count("references") > 1:
        raise ConfigError(f"a {form} template has each slot once: {wanted} (the prompt may come again); {{references}} "
                          "at most once", where=where)
    if form == "pairwise" and found.index("image_2") < max(found.index(name) for name in found if name not in (
            "image_2", "prompt")):
        raise ConfigError("image 2, the candidate, must stand after image 1, the reference, and all other images",
                          where=where, hint="all candidates share what stands before image 2")


def run(config: InstructionConfig, warehouse: Warehouse) -> Receipt:
    """Write the rows; raises ConflictError where the version exists with other words."""
    rows = read_instructions(config.file)
    digest = sha256_hex(config.file.read_bytes())

    def body(recorder: Recorder) -> None:
        _refuse_other_words(rows, warehouse)
        recorder.count("read", len(rows))
        recorder.count("instructions", warehouse.merge("instructions", rows, run_id=recorder.run_id))
        recorder.output("instruction_ids", [row["instruction_id"] for row in rows])
        recorder.output("version", rows[0]["version"])

    return run_stage("instructions", config, warehouse, {"file": digest}, body)


def _refuse_other_words(rows: list[Row], warehouse: Warehouse) -> None:
    known = {(row["task"], row["dimension"], row["version"], row["form"]): row["template"]
             for row in warehouse.rows("SELECT task, dimension, version, form, template FROM instructions")}
    for row in rows:
        place = (row["task"], row["dimension"], row["version"], row["form"])
        if known.get(place, row["template"]) != row["template"]:
            raise ConflictError(f"version {row['version']} of {row['task']}/{row['dimension']} has other words here",
                                hint="raise the version in the file")
