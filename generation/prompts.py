"""Stage `prompts`: rows of a plug-in's prompt list into the warehouse; `formats` is the plug-in that reads files."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from warehouse import Warehouse
from warehouse.errors import ConfigError, InvalidInputError
from warehouse.hashing import canonical_json, content_id
from warehouse.plugins import load_plugin
from warehouse.records import Row, licence_row, prompt_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage


class PromptConfig(StageConfig):
    """`source` is `module:function` that returns keyword arguments of `prompt_row`, called with `options`.

    A listed item may also have `location` (where it stands), `problem` (why it cannot be a prompt) and `mark` (items
    with the same one are duplicates; by default those equal in every field).
    """

    source: str
    options: dict[str, Any] = Field(default_factory=dict)
    licence: str = ""


def _row(item: dict[str, Any], location: str, licence_id: str | None) -> Row:
    """The prompt's row; raises InvalidInputError with the item's own problem where it has one."""
    if item.get("problem"):
        raise InvalidInputError(item["problem"])
    return prompt_row(**{"source_item": location, "licence_id": licence_id, **item})


def _take(config: PromptConfig, listed: list[dict[str, Any]], recorder: Recorder) -> list[Row]:
    """Rows of the list; items equal in every field count once, bad ones become rejects."""
    licence_id = licence_row(config.licence)["licence_id"] if config.licence else None
    rows: list[Row] = []
    seen: set[str] = set()
    recorder.count("duplicates", 0)
    for index, listing in enumerate(listed):
        item = dict(listing)
        location = str(item.pop("location", index))
        key = str(item.pop("mark", None) or canonical_json(item))
        if key in seen and not item.get("problem"):
            recorder.count("duplicates")
            continue
        seen.add(key)
        try:
            rows.append(_row(item, location, licence_id))
        except InvalidInputError as error:
            source = str(item.get("source", config.source))
            recorder.reject(source=source, location=location, reason="bad_prompt", detail=str(error))
    return rows


def run(config: PromptConfig, warehouse: Warehouse) -> Receipt:
    """Import the list; a prompt that cannot be a row is a reject with its place in the list or file."""
    listed = load_plugin(config.source)(**config.options)
    if not listed:
        raise ConfigError(f"{config.source} returned no prompts", hint="check its options")
    digest = content_id("prompt list", canonical_json(listed))

    def body(recorder: Recorder) -> None:
        rows = _take(config, listed, recorder)
        with warehouse.commit(f"prompts {config.source}"):
            if config.licence:
                warehouse.merge("licences", [licence_row(config.licence)], run_id=recorder.run_id)
            new = warehouse.merge("prompts", rows, run_id=recorder.run_id)
        recorder.count("read", len(listed))
        recorder.count("prompts", new)
        recorder.count("already_there", len(rows) - new)
        recorder.output("prompts", len({row["prompt_id"] for row in rows}))

    return run_stage("prompts", config, warehouse, {"list": digest}, body)
