"""Prompt files as a plug-in of stage `prompts`: public prompt sets and plain files, offline.

`generation.formats:read_prompts` lists the rows of a file or folder for `PromptConfig`. A file that is absent, empty,
not UTF-8 or without the prompt column raises; a bad row is listed with its `location` (file:row) and its `problem`, so
that it becomes a reject. Columns beside the prompt are kept as tags.

Traps: PartiPrompts writes quotation marks that are part of the prompt, not quoting. VBench names some prompts twice,
each time with other dimensions, T2I-CompBench in several files, and DPG-Bench once for each question about the picture
(all are joined). DPG-Bench's text files hold one prompt each, of several lines.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.errors import ConfigError, InvalidInputError
from warehouse.hashing import canonical_text
from warehouse.importers.rows import TABULAR, file_digest, fingerprint, list_files, read_rows
from warehouse.importers.source_row import SourceRow
from warehouse.records import TASKS

Listed = dict[str, Any]


@dataclass(frozen=True)
class PromptFormat:
    """Where a format keeps its prompt; `fixed` ones have that column always, the others let the caller name it.

    Text files hold a prompt a line, or one a file where they are `whole`. `named` finds tags in a file's name. `united`
    tags are lists or mappings that all listings of one prompt share; `gathered` columns are kept together, a record a
    listing, under the tag `questions`.
    """

    column: str
    suffixes: tuple[str, ...]
    task: str = "t2i"
    fixed: bool = True
    quoted: bool = True
    whole: bool = False
    named: str = ""
    united: tuple[str, ...] = ()
    gathered: tuple[str, ...] = ()


_VBENCH = PromptFormat("prompt_en", (".json",), task="t2v", united=("dimension", "auxiliary_info"))
FORMATS = {
    "partiprompts": PromptFormat("Prompt", (".tsv",), quoted=False),
    "geneval": PromptFormat("prompt", (".jsonl",)),
    "vbench": _VBENCH,
    "vbench2": _VBENCH,
    # color_val_seen.txt: category, split and part of it.
    "t2i-compbench": PromptFormat(
        "line",
        (".txt",),
        named=r"(?P<category>.+?)(?:_(?P<split>train|val)(?:_(?P<part>.+))?)?",
        united=("category", "split", "part"),
    ),
    "dpg-bench": PromptFormat(
        "text",
        (".csv", ".txt"),
        whole=True,
        named=r"(?P<item_id>.+)",
        gathered=(
            "proposition_id",
            "dependency",
            "category_broad",
            "category_detailed",
            "tuple",
            "question_natural_language",
        ),
    ),
    "drawbench": PromptFormat("Prompts", (".csv",)),
    "gecko": PromptFormat("prompt", (".csv",)),
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
    root, listed = Path(path), list[Listed]()
    about = {"task": task or chosen.task, "source": source or format, "domain": domain}
    about["media_kind"] = "video" if about["task"] in ("t2v", "i2v") else "image"
    for file in list_files(root, chosen.suffixes):
        file_digest(file)
        name = file.relative_to(root).as_posix() if root.is_dir() else file.name
        listed += [about | item for item in _read_file(file, name, chosen, column)]
    if not listed:
        raise InvalidInputError("no prompts", where=str(path))
    return _joined(listed, chosen) if chosen.united or chosen.gathered else listed


def _chosen(format: str, task: str, column: str) -> PromptFormat:
    chosen = FORMATS.get(format)
    if chosen is None:
        raise ConfigError(f"unknown prompt format {format!r}", hint=f"one of {', '.join(FORMATS)}")
    if column and chosen.fixed:
        raise ConfigError(f"the prompts of {format} stand in {chosen.column}", hint="use csv, jsonl or parquet")
    if task and task not in TASKS:
        raise ConfigError(f"unknown task {task!r}", hint=f"one of {', '.join(TASKS)}")
    return chosen


def _read_file(file: Path, name: str, chosen: PromptFormat, column: str) -> Iterable[Listed]:
    suffix = file.suffix.lower()
    prompt_column = "line" if suffix == ".txt" else column or chosen.column
    fits = re.fullmatch(chosen.named, file.stem) if chosen.named and suffix == ".txt" else None
    named = {tag: value for tag, value in (fits.groupdict() if fits else {}).items() if value}
    for row in read_rows(file, name, quoted=chosen.quoted, whole=chosen.whole):
        if suffix in TABULAR and not row.problem and prompt_column not in row.fields:
            there = ", ".join(row.fields)
            raise InvalidInputError(f"no column {prompt_column}", where=str(file), hint=f"it has {there}")
        yield {"location": row.location, **_prompt(row, prompt_column, named)}


def _prompt(row: SourceRow, column: str, named: Listed) -> Listed:
    """`text`, `tags` and `mark` (shared by rows equal in every field) of a row, or its `problem`."""
    if row.problem:
        return {"problem": row.problem}
    text = row.fields.get(column)
    if not isinstance(text, str) or not text.strip():
        return {"problem": f"{column} is {text!r}, expected text"[:300]}
    try:
        mark = fingerprint(row.fields | named).hex()
        tags = _tags(row.fields, column) | named
    except (ValueError, RecursionError) as error:
        return {"problem": f"half a character, or nested too deeply: {error}"}
    return {"text": text.strip(), "tags": tags, "mark": mark}


def _tags(fields: Listed, column: str) -> Listed:
    """The other columns, JSON-ready; nameless and empty ones, NaN and bytes are left out."""
    given = {str(key).casefold(): value for key, value in fields.items() if key != column and key}
    plain = json.loads(json.dumps(given, default=_nothing), parse_constant=lambda _: None)
    return {key: value for key, value in plain.items() if value not in (None, "")}


def _nothing(value: Any) -> str | None:
    return None if isinstance(value, bytes) else str(value)


def _joined(listed: list[Listed], chosen: PromptFormat) -> list[Listed]:
    """Every listing of a prompt carries the united tags and the gathered records of all its listings."""
    groups = defaultdict[str, list[Listed]](list)
    for item in listed:
        if "text" in item:
            groups[canonical_text(item["text"])].append(item["tags"])
    shared = {text: _united(tags, chosen) for text, tags in groups.items()}
    for item in listed:
        if "text" in item:
            own = {name: value for name, value in item["tags"].items() if name not in chosen.gathered}
            item["tags"] = own | shared[canonical_text(item["text"])]
    return listed


def _united(listings: list[Listed], chosen: PromptFormat) -> Listed:
    joined: Listed = {name: value for name in chosen.united if (value := _union(listings, name)) is not None}
    records = [{name: tags[name] for name in chosen.gathered if name in tags} for tags in listings]
    if any(records):
        joined["questions"] = [record for record in records if record]
    return joined


def _union(listings: list[Listed], name: str) -> Any:
    """Mappings become one mapping, anything else one list without repeats, in order; None where there is nothing."""
    values = [tags[name] for tags in listings if name in tags]
    if values and all(isinstance(value, dict) for value in values):
        return {key: fact for value in values for key, fact in value.items()}
    flat: list[Any] = []
    for value in values:
        flat += [part for part in (value if isinstance(value, list) else [value]) if part not in flat]
    return flat or None
