"""Stage `ingest`: candidates that other tools made, named by a manifest (CSV or JSONL).

Columns: prompt, path, generator, task, and optionally condition (path of a first frame or source picture). A file that
is missing, broken or outside the root is a reject with file and row; the rest is kept. A second call adds nothing.
"""

from __future__ import annotations

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


class IngestConfig(StageConfig):
    """`manifest` names files relative to `root`, by default the manifest's folder; `licence` is that of the files."""

    manifest: Path = Field(json_schema_extra={"place": True})
    root: Path | None = Field(default=None, json_schema_extra={"place": True})
    source: str = "files"
    licence: str = ""


def _read(path: Path) -> list[SourceRow]:
    """Every row; raises InvalidInputError for a manifest that cannot be used as a whole."""
    rows = list(read_rows(path))
    if not rows:
        raise InvalidInputError("the manifest has no rows", where=str(path), hint=f"columns: {', '.join(_COLUMNS)}")
    missing = [name for name in _COLUMNS if path.suffix in TABULAR and name not in rows[0].fields]
    if missing and not rows[0].problem:
        raise InvalidInputError(f"the manifest lacks columns {missing}", where=str(path))
    return rows


class _Ingest:
    """Rows gathered from one manifest."""

    def __init__(self, config: IngestConfig, warehouse: Warehouse, recorder: Recorder) -> None:
        self.config, self.warehouse, self.recorder = config, warehouse, recorder
        self.root = config.root or config.manifest.parent
        self.licence = licence_row(config.licence) if config.licence else None
        self.rows: dict[str, list[Row]] = {name: [] for name in _TABLES}
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
    inputs, listed = {"manifest": file_digest(manifest)}, _read(manifest)
    paths = {str(row.fields[name]) for row in listed for name in ("path", "condition") if row.fields.get(name)}
    inputs["media"] = files_digest(config.root or config.manifest.parent, sorted(paths))

    def body(recorder: Recorder) -> None:
        ingest = _Ingest(config, warehouse, recorder)
        recorder.count("read", len(listed))
        recorder.count("duplicates", 0)
        for number, row in enumerate(listed, 1):
            ingest.add(row)
            recorder.progress(number, len(listed), config.manifest.name)
        with warehouse.commit("ingest"):
            if ingest.licence:
                warehouse.merge("licences", [ingest.licence], run_id=recorder.run_id)
            for table, rows in ingest.rows.items():
                recorder.count(table, warehouse.merge(table, rows, run_id=recorder.run_id))
        recorder.count("already_there", len(ingest.rows["candidates"]) - recorder.counts["candidates"])
        recorder.count("media_absent", sum(reject["reason"] == "media_absent" for reject in recorder.rejects))
        recorder.output("source", config.source)

    return run_stage("ingest", config, warehouse, inputs, body)
