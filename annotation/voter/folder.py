"""What a folder of pictures or clips means: which file was made by whom, for which prompt.

Read in this order, whichever fits first:

    a table      path, and optionally prompt, generator, condition (the file given, or the only CSV in the folder)
    sub-folders  GENERATOR/PROMPT.png: files of the same name in two folders answer the same prompt
    two dashes   PROMPT__GENERATOR.png in the folder itself
    plain files  each its own generator, all for one prompt

A number at the end of a prompt's name (`a red cat_03`) tells candidates of one generator apart and is no part of the
prompt. The result is the manifest that `rewarddance generate ingest` reads; bytes are looked at there, not here.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from warehouse.errors import ConfigError, InvalidInputError, NotFoundError

IMAGES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"))
CLIPS = frozenset((".mp4", ".webm", ".mov", ".m4v"))
_TRAILING_NUMBER = re.compile(r"[ _-]+\d{1,6}$")
# Prompt, path, generator, condition.
Found = tuple[str, str, str, str]


@dataclass(frozen=True)
class Entry:
    """One candidate as a row of the manifest; `path` and `condition` are relative to the folder."""

    prompt: str
    path: str
    generator: str
    task: str
    condition: str = ""


def read_folder(folder: Path, table: Path | None = None, prompt: str = "") -> list[Entry]:
    """Every candidate of the folder in order of path; `prompt` is for all files, whatever their names say.

    Raises NotFoundError for no folder, ConfigError where nothing can be compared or pictures and clips are mixed.
    """
    if not folder.is_dir():
        raise NotFoundError(f"no folder {folder}", hint="give a folder of pictures or clips")
    tables = [table] if table else sorted(folder.glob("*.csv"))
    found = _from_table(tables[0], folder) if len(tables) == 1 else list(_from_names(folder))
    if prompt:
        found = [(prompt, path, generator, condition) for _, path, generator, condition in found]
    kinds = {Path(path).suffix.lower() in CLIPS for _, path, _, _ in found}
    if len(kinds) > 1:
        raise ConfigError("pictures and clips in one folder", where=str(folder), hint="try them one after the other")
    entries = [Entry(item[0], item[1], item[2], _task(item[1], item[3]), item[3]) for item in found]
    if len(entries) < 2:
        raise ConfigError(
            f"{len(entries)} files to compare", where=str(folder),
            hint=f"two or more of {', '.join(sorted(IMAGES | CLIPS))}, or a CSV with path, prompt, generator",
        )
    return sorted(entries, key=lambda entry: entry.path)


def manifest(entries: Sequence[Entry]) -> str:
    """The entries as the CSV that `generate ingest` reads."""
    target = io.StringIO()
    writer = csv.DictWriter(target, [field.name for field in fields(Entry)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(entry) for entry in entries)
    return target.getvalue()


def _task(path: str, condition: str) -> str:
    clip = Path(path).suffix.lower() in CLIPS
    return ("i2v" if clip else "edit") if condition else ("t2v" if clip else "t2i")


def _from_table(table: Path, folder: Path) -> list[Found]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "path" not in rows[0]:
        raise InvalidInputError("the table needs a column `path`", where=str(table),
                                hint="columns: path, prompt, generator, condition; only path is needed")
    return [_table_row(row, folder) for row in rows if (row["path"] or "").strip()]


def _table_row(row: dict[str, str], folder: Path) -> Found:
    path = row["path"].strip()
    named = _name(Path(path), folder)
    said = [(row.get(name) or "").strip() for name in ("prompt", "generator", "condition")]
    return said[0] or named[0], path, said[1] or named[2], said[2]


def _from_names(folder: Path) -> Iterator[Found]:
    """Files at any depth, hidden ones left out; plain files without `__` are one prompt's candidates."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGES | CLIPS:
                yield _name((Path(place) / name).relative_to(folder), folder)


def _name(path: Path, folder: Path) -> Found:
    prompt, dashes, generator = path.stem.rpartition("__")
    if dashes and prompt:
        return _words(prompt), path.as_posix(), generator, ""
    if path.parent != Path("."):
        return _words(path.stem), path.as_posix(), path.parent.as_posix(), ""
    return _words(folder.resolve().name), path.as_posix(), path.stem, ""


def _words(name: str) -> str:
    """A file's name as a prompt: no number at its end, underscores as spaces."""
    return " ".join((_TRAILING_NUMBER.sub("", name) or name).replace("_", " ").split()) or name
