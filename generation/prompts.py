"""Stage `prompts`: rows of a plug-in's prompt list into the warehouse. Files of prompts come through importers."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from warehouse import Warehouse
from warehouse.errors import ConfigError, InvalidInputError
from warehouse.hashing import canonical_json, content_id
from warehouse.plugins import load_plugin
from warehouse.records import Row, prompt_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage


class PromptConfig(StageConfig):
    """`source` is `module:function` that returns keyword arguments of `prompt_row`, called with `options`."""

    source: str
    options: dict[str, Any] = Field(default_factory=dict)


def run(config: PromptConfig, warehouse: Warehouse) -> Receipt:
    """Import the list; a prompt that cannot be a row is a reject with its place in the list."""
    listed = load_plugin(config.source)(**config.options)
    if not listed:
        raise ConfigError(f"{config.source} returned no prompts", hint="check its options")
    digest = content_id("prompt list", canonical_json(listed))

    def body(recorder: Recorder) -> None:
        rows: list[Row] = []
        for index, item in enumerate(listed):
            try:
                rows.append(prompt_row(**item))
            except InvalidInputError as error:
                recorder.reject(source=config.source, location=str(index), reason="bad_prompt", detail=str(error))
        recorder.count("read", len(listed))
        recorder.count("prompts", warehouse.merge("prompts", rows, run_id=recorder.run_id))
        recorder.output("prompts", len({row["prompt_id"] for row in rows}))

    return run_stage("prompts", config, warehouse, {"list": digest}, body)
