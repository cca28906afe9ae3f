"""Stage `ingest`: candidates that other tools made, named by a manifest (CSV or JSONL).

Columns: prompt, path, generator, task, and optionally condition (path of a first frame or source picture). A file that
is missing, broken or outside the root is a reject with file and row; the rest is kept. A second call adds nothing.

The manifest is read twice, a row at a time: once to see which files are there, once to store them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from warehouse import Warehouse
from warehouse.errors import InvalidInputError, MediaError
from warehouse.importers.fields import clean_path
from warehouse.importers.media import files_digest, find_below, media_row
from warehouse.importers.rows import TABULAR, file_digest, fingerprint, list_files, read_rows
from warehouse.importers.source_row import SourceRow
from warehouse.records import Row, candidate_row, generator_row, licence_row, prompt_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_COLUMNS = ("prompt", "path", "generator", "task")
_TABLES = ("prompts", "media", "generators", "candidates")
_COMMIT = 4096


class IngestConfig(StageConfig):
    """`manifest` names files relative to `root`, by default the manifest's folder; `licence` is that of the files."""

    manifest: Path = Field(json_schema_extra={"place": True})
    root: Path | None = Field(default=None, json_schema_extra={"place": True})
    source: str = "files"
    licence: str = ""


def _paths(manifest: Path) -> Iterator[str]:
    """Files that the manifest names; raises InvalidInputError where it cannot be used as a whole."""
    row: SourceRow | None = None
    for number, row in enumerate(read_rows(manifest)):
        missing = [name for name in _COLUMNS if name not in row.fields]
        if number == 0 and manifest.suffix in TABULAR and missing and not row.problem:
            raise InvalidInputError(f"the manifest lacks columns {missing}", where=str(manifest))
        yield from (str(row.fields[name]) for name in ("path", "condition") if row.fields.get(name))
    if row is None:
        raise InvalidInputError("the manifest has no rows", where=str(manifest), hint=f"columns: {', '.join(_COLUMNS)}")


class _Ingest:
    """Rows gathered from one manifest, and written a few thousand at a time."""

    def __init__(self, config: IngestConfig, warehouse: Warehouse, recorder: Recorder) -> None:
        self.config, self.warehouse, self.recorder = config, warehouse, recorder
        self.root = config.root or config.manifest.parent
        self.licence = licence_row(config.licence) if config.licence else None
        self.rows: dict[str, list[Row]] = {name: [] for name in _TABLES}
        self.written = 0
        self._seen: set[bytes] = set()

    def _media(self, relative: str) -> Row:
        target = find_below(self.root, relative)
        if target is None:
            raise MediaError(f"no file {relative}", reason="media_absent")
        info = self.warehouse.media.put(target.read_bytes())
        licence_id = self.licence["licence_id"] if self.licence else None
        row = media_row(self.warehouse, info, self.config.source, licence_id)
        self.rows["media"].append(row)
        return row

    def add(self, row: SourceRow) -> None:
        """One manifest row; what is wrong with it becomes a reject, what equals an earlier row a duplicate."""
        try:
            if row.problem:
                raise InvalidInputError(row.problem)
            mark = fingerprint(row.fields)
            if mark in self._seen:
                self.recorder.count("duplicates")
                return
            self._seen.add(mark)
            self._keep(row.fields)
        except (InvalidInputError, UnicodeEncodeError) as error:
            reason = error.reason if isinstance(error, MediaError) else "bad_row"
            self.recorder.reject(source=self.config.source, location=row.location, reason=reason, detail=str(error))

    def write(self) -> None:
        """Write what was gathered since the last time; candidates never come without their media and prompts."""
        rows, self.rows = self.rows, {name: [] for name in _TABLES}
        with self.warehouse.commit("ingest"):
            for table in _TABLES:
                self.recorder.count(table, self.warehouse.merge(table, rows[table], run_id=self.recorder.run_id))
        self.written += len(rows["candidates"])

    def _keep(self, item: dict[str, Any]) -> None:
        absent = [name for name in _COLUMNS if not str(item.get(name) or "").strip()]
        if absent:
            raise InvalidInputError(f"empty {', '.join(absent)}")
        condition = self._media(str(item["condition"]))["media_id"] if item.get("condition") else None
        path, task = clean_path(str(item["path"])), str(item["task"])
        media = self._media(path)
        prompt = prompt_row(
            str(item["prompt"]),
            task,
            media["kind"],
            self.config.source,
            path,
            condition_media_id=condition,
            licence_id=media["licence_id"],
        )
        generator = generator_row(str(item["generator"]), "imported", "unknown")
        self.rows["prompts"].append(prompt)
        self.rows["generators"].append(generator)
        self.rows["candidates"].append(
            candidate_row(
                prompt["prompt_id"],
                generator["generator_id"],
                media["media_id"],
                None,
                {},
                task,
                self.config.source,
                path,
            )
        )


def run(config: IngestConfig, warehouse: Warehouse) -> Receipt:
    """Ingest the manifest; counts read, duplicates, prompts, candidates and what was there already."""
    [manifest] = list_files(config.manifest, (".csv", ".tsv", ".jsonl"))
    inputs = {"manifest": file_digest(manifest)}
    inputs["media"] = files_digest(config.root or config.manifest.parent, _paths(manifest))

    def body(recorder: Recorder) -> None:
        ingest, total = _Ingest(config, warehouse, recorder), sum(1 for _ in read_rows(manifest))
        recorder.count("read", total)
        recorder.count("duplicates", 0)
        if ingest.licence:
            warehouse.merge("licences", [ingest.licence], run_id=recorder.run_id)
        for number, row in enumerate(read_rows(manifest), 1):
            ingest.add(row)
            if len(ingest.rows["candidates"]) >= _COMMIT:
                ingest.write()
            recorder.progress(number, total, config.manifest.name)
        ingest.write()
        recorder.count("already_there", ingest.written - recorder.counts["candidates"])
        recorder.count("media_absent", sum(reject["reason"] == "media_absent" for reject in recorder.rejects))
        recorder.output("source", config.source)

    return run_stage("ingest", config, warehouse, inputs, body)
