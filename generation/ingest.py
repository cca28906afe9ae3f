"""Stage `ingest`: candidates that other tools made, named by a manifest (CSV or JSONL).

Columns: prompt, path, generator, task, and optionally condition (path of a first frame or source picture). A file that
is missing, broken or outside the root is a reject with file and row; the rest is kept. A second call adds nothing.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from generation.candidates import media_row
from warehouse import Warehouse
from warehouse.errors import InvalidInputError, MediaError, NotFoundError
from warehouse.hashing import sha256_hex
from warehouse.records import Row, candidate_row, generator_row, prompt_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_COLUMNS = ("prompt", "path", "generator", "task")


class IngestConfig(StageConfig):
    """`manifest` is read whole; paths in it are relative to `root`, by default the manifest's folder."""

    manifest: Path
    root: Path | None = Field(default=None, json_schema_extra={"place": True})
    source: str = "files"
    licence_id: str | None = None


def _read(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(row number, fields) of every row, 1 = first data row; raises InvalidInputError for an unusable file."""
    if not path.is_file():
        raise NotFoundError(f"no manifest {path}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"the manifest is not UTF-8: {error}", where=str(path)) from error
    if not text.strip():
        raise InvalidInputError("the manifest is empty", where=str(path), hint=f"columns: {', '.join(_COLUMNS)}")
    if path.suffix == ".jsonl":
        return list(enumerate(_json_rows(text, path), 1))
    rows = list(csv.DictReader(text.splitlines()))
    missing = [name for name in _COLUMNS if rows and name not in rows[0]]
    if missing:
        raise InvalidInputError(f"the manifest lacks columns {missing}", where=str(path))
    return list(enumerate(rows, 1))


def _json_rows(text: str, path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise InvalidInputError(f"not JSON: {error}", where=f"{path}:{number}") from error
        yield value if isinstance(value, dict) else {}


def _load(root: Path, relative: str) -> bytes:
    """Bytes of a file under `root`; raises MediaError with reason outside_root or media_absent."""
    target = (root / relative).resolve()
    if not target.is_relative_to(root.resolve()):
        raise MediaError(f"{relative} lies outside the root", reason="outside_root")
    if not target.is_file():
        raise MediaError(f"no file {relative}", reason="media_absent")
    return target.read_bytes()


class _Ingest:
    """Rows gathered from one manifest."""

    def __init__(self, config: IngestConfig, warehouse: Warehouse, recorder: Recorder) -> None:
        self.config, self.warehouse, self.recorder = config, warehouse, recorder
        self.root = config.root or config.manifest.parent
        self.rows: dict[str, list[Row]] = {name: [] for name in ("prompts", "media", "generators", "candidates")}

    def _media(self, relative: str) -> Row:
        info = self.warehouse.media.put(_load(self.root, relative))
        row = media_row(self.warehouse, info, self.config.source, self.config.licence_id)
        self.rows["media"].append(row)
        return row

    def add(self, number: int, item: dict[str, Any]) -> None:
        """One manifest row; what is wrong with it becomes a reject."""
        try:
            absent = [name for name in _COLUMNS if not str(item.get(name) or "").strip()]
            if absent:
                raise InvalidInputError(f"empty {', '.join(absent)}")
            condition = self._media(str(item["condition"]))["media_id"] if item.get("condition") else None
            media = self._media(str(item["path"]))
            prompt = prompt_row(str(item["prompt"]), str(item["task"]), media["kind"], self.config.source,
                                str(item.get("prompt_item") or item["path"]), condition_media_id=condition,
                                licence_id=self.config.licence_id)
        except (InvalidInputError, MediaError) as error:
            reason = error.reason if isinstance(error, MediaError) else "bad_row"
            self.recorder.reject(source=self.config.source, location=f"{self.config.manifest.name}:{number}",
                                 reason=reason, detail=str(error))
            return
        generator = generator_row(str(item["generator"]), "imported", "unknown")
        self.rows["prompts"].append(prompt)
        self.rows["generators"].append(generator)
        self.rows["candidates"].append(candidate_row(
            prompt["prompt_id"], generator["generator_id"], media["media_id"], None, {}, prompt["task"],
            self.config.source, str(item["path"])))


def run(config: IngestConfig, warehouse: Warehouse) -> Receipt:
    """Ingest the manifest; counts read, prompts, candidates and what was there already."""
    listed = _read(config.manifest)

    def body(recorder: Recorder) -> None:
        ingest = _Ingest(config, warehouse, recorder)
        recorder.count("read", len(listed))
        for number, item in listed:
            ingest.add(number, item)
            recorder.progress(number, len(listed), config.manifest.name)
        with warehouse.commit("ingest"):
            for table, rows in ingest.rows.items():
                recorder.count(table, warehouse.merge(table, rows, run_id=recorder.run_id))

    return run_stage("ingest", config, warehouse, {"manifest": sha256_hex(config.manifest.read_bytes())}, body)
