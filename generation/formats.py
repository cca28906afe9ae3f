"""Prompt files as a plug-in of stage `prompts`: public prompt sets and plain files, offline.

`generation.formats:read_prompts` lists the rows of a file or folder for `PromptConfig`. A file that is absent, empty,
not UTF-8 or without the prompt column raises; a bad row is listed with its `location` (file:row) and its `problem`, so
that it becomes a reject. Columns beside the prompt are kept as tags.

Traps: PartiPrompts writes quotation marks that are part of the prompt, not quoting; VBench names some prompts twice,
each time with other dimensions (they are joined).
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.errors import ConfigError, InvalidInputError
from warehouse.hashing import canonical_text
from warehouse.importers.rows import TABULAR, SourceRow, file_digest, fingerprint, list_files, read_rows
from warehouse.records import TASKS

Listed = dict[str, Any]


@dataclass(frozen=True)
class PromptFormat:
    """Where a format keeps its prompt; `fixed` ones have that column always, the others let the caller name it."""

    column: str
    suffixes: tuple[str, ...]
    task: str = "t2i"
    fixed: bool = True
    quoted: bool = True


FORMATS = {
    "partiprompts": PromptFormat("Prompt", (".tsv",), quoted=False),
    "geneval": PromptFormat("prompt", (".jsonl",)),
    "vbench": PromptFormat("prompt_en", (".json",), task="t2v"),
    "drawbench": PromptFormat("Prompts", (".csv",)),
    "txt": PromptFormat("line", (".txt",)),
    "csv": PromptFormat("prompt", (".csv", ".tsv"), fixed=False),
    "jsonl": PromptFormat("prompt", (".jsonl",), fixed=False),
    "parquet": PromptFormat("prompt", (".parquet",), fixed=False),
}


def read_prompts(
    format: str, path: str | Path, source: str = "", task: str = "", domain: str = "id", column: str = ""
) -> list[Listed]:
    """Every row of a prompt file: keyword arguments of `prompt_row`, with `location` and, for bad rows, `problem`.

    `source` is by default the format's name, `task` the format's own. Raises ConfigError for options that do not fit
    the format, InvalidInputError for a file that cannot be used.
    """
    chosen = _chosen(format, task, column)
    prompt_column = column or chosen.column
    root, listed = Path(path), list[Listed]()
    about = {"task": task or chosen.task, "source": source or format, "domain": domain}
    about["media_kind"] = "video" if about["task"] in ("t2v", "i2v") else "image"
    for file in list_files(root, chosen.suffixes):
        file_digest(file)
        name = file.relative_to(root).as_posix() if root.is_dir() else file.name
        for row in read_rows(file, name, quoted=chosen.quoted):
            if file.suffix in TABULAR and not row.problem and prompt_column not in row.fields:
                there = ", ".join(row.fields)
                raise InvalidInputError(f"no column {prompt_column}", where=str(file), hint=f"it has {there}")
            listed.append({"location": row.location, **about, **_prompt(row, prompt_column)})
    if not listed:
        raise InvalidInputError("no prompts", where=str(path))
    return _joined(listed) if format == "vbench" else listed


def _chosen(format: str, task: str, column: str) -> PromptFormat:
    chosen = FORMATS.get(format)
    if chosen is None:
        raise ConfigError(f"unknown prompt format {format!r}", hint=f"one of {', '.join(FORMATS)}")
    if column and chosen.fixed:
        raise ConfigError(f"the prompts of {format} stand in {chosen.column}", hint="use csv, jsonl or parquet")
    if task and task not in TASKS:
        raise ConfigError(f"unknown task {task!r}", hint=f"one of {', '.join(TASKS)}")
    return chosen


def _prompt(row: SourceRow, column: str) -> Listed:
    """`text`, `tags` and `mark` (shared by rows equal in every field) of a row, or its `problem`."""
    if row.problem:
        return {"problem": row.problem}
    text = row.fields.get(column)
    if not isinstance(text, str) or not text.strip():
        return {"problem": f"{column} is {text!r}, expected text"}
    try:
        mark = fingerprint(row.fields).hex()
    except UnicodeEncodeError as error:
        return {"problem": f"half a character: {error}"}
    return {"text": text.strip(), "tags": _tags(row.fields, column), "mark": mark}


def _tags(fields: Listed, column: str) -> Listed:
    """The other columns, JSON-ready; empty ones, NaN and bytes are left out."""
    given = {key.casefold(): value for key, value in fields.items() if key != column and not isinstance(value, bytes)}
    plain = json.loads(json.dumps(given, default=str), parse_constant=lambda _: None)
    return {key: value for key, value in plain.items() if value not in (None, "")}


def _joined(listed: list[Listed]) -> list[Listed]:
    """VBench: every listing of a prompt carries the dimensions and auxiliary facts of all its listings."""
    dimensions, facts = defaultdict[str, set[str]](set), defaultdict[str, Listed](dict)
    for item in listed:
        key, tags = canonical_text(item.get("text", "")), item.get("tags", {})
        dimensions[key].update(tags.get("dimension", []))
        facts[key].update(tags.get("auxiliary_info", {}))
    for item in listed:
        if "text" in item:
            key = canonical_text(item["text"])
            joined = {"dimension": sorted(dimensions[key]), "auxiliary_info": facts[key]}
            item["tags"] = {**item["tags"], **joined}
    return listed
