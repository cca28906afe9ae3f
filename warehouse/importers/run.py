"""Stage `import`: a file or folder of preference data into prompts, candidates, pairs and votes.

Reads twice: once to check every byte and to see which media are there, once to write. Absent media are counted; such
candidates have no bytes and stay out of shards. Broken media and malformed rows are rejects with file and row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import Field, model_validator

from warehouse.catalog import Warehouse
from warehouse.errors import InvalidInputError
from warehouse.hashing import content_id
from warehouse.importers import genai_bench, ranking, table, videoalign
from warehouse.importers.comparison import Comparison, Format, FormatOptions, Outcome, Refused, clean_path
from warehouse.importers.media import files_digest
from warehouse.importers.rows import TABULAR, SourceRow, file_digest, fingerprint, list_files, read_rows
from warehouse.importers.store import Source, Store
from warehouse.records import DIMENSIONS, TASKS, licence_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

FORMATS: dict[str, Format] = {
    "genai-bench-image": genai_bench.IMAGE,
    "genai-bench-judge": genai_bench.JUDGE,
    "imagereward-ranking": ranking.IMAGEREWARD,
    "likert-csv": ranking.LIKERT,
    "table": table.TABLE,
    "videoalign": videoalign.VIDEOALIGN,
    "videogen-rewardbench": videoalign.VIDEOALIGN,
}


class ImportConfig(StageConfig):
    """`path` is a file or a folder in one of FORMATS; paths of media are relative to `media_root` (default: there).

    `name` is the source's name (default: the format); `task` and `dimension` replace the format's own. `columns` maps
    roles to columns and `labels` values to first, second, tie or both_bad, for formats whose columns are free.
    """

    format: str
    path: Path = Field(json_schema_extra={"place": True})
    media_root: Path | None = Field(default=None, json_schema_extra={"place": True})
    name: str = ""
    task: str = ""
    dimension: str = ""
    domain: str = "id"
    columns: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    licence: str = ""
    licence_url: str = ""
    non_commercial: bool = False

    @model_validator(mode="after")
    def _fits_format(self) -> ImportConfig:
        chosen = FORMATS.get(self.format)
        if chosen is None:
            raise ValueError(f"unknown format {self.format!r}, expected one of {', '.join(FORMATS)}")
        free = sorted(set(self.columns) - set(chosen.columns))
        if free:
            raise ValueError(f"{self.format} has no columns {free} to name, only {sorted(chosen.columns)}")
        if self.labels and not chosen.has_labels:
            raise ValueError(f"the labels of {self.format} are fixed")
        wrong = sorted(set(self.labels.values()) - set(table.SIDE_LABELS))
        if wrong:
            raise ValueError(f"labels mean one of {', '.join(table.SIDE_LABELS)}, got {wrong}")
        for value, allowed in ((self.task, TASKS), (self.dimension, DIMENSIONS)):
            if value and value not in allowed:
                raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
        return self

    @property
    def source(self) -> str:
        """Name of the source in every row."""
        return self.name or self.format


@dataclass
class _Reading:
    """One pass over the files: what was read, and what was seen before."""

    config: ImportConfig
    files: list[Path]
    read: int = 0
    duplicates: int = 0
    seen: set[bytes] = field(default_factory=set)
    refused: list[Refused] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """The folder that names of files are relative to."""
        return self.config.path if self.config.path.is_dir() else self.config.path.parent

    def outcomes(self) -> Iterator[Outcome]:
        """Comparisons and refused rows of all files."""
        chosen = FORMATS[self.config.format]
        columns = {**chosen.columns, **self.config.columns}
        options = FormatOptions(self.config.dimension, columns, self.config.labels)
        for outcome in chosen.read(self._rows(chosen, columns), options):
            yield from self._refusals()
            yield outcome
        yield from self._refusals()

    def _refusals(self) -> Iterator[Refused]:
        yield from self.refused
        self.refused.clear()

    def _rows(self, chosen: Format, columns: dict[str, str]) -> Iterator[SourceRow]:
        needed = (*chosen.required, *(name for name in columns.values() if name))
        paths = [columns.get(name, name) for name in chosen.paths]
        for path in self.files:
            checked = path.suffix.lower() not in TABULAR
            for row in read_rows(path, path.relative_to(self.root).as_posix()):
                if not checked and not row.problem:
                    _check_columns(row, needed, path, chosen.hint)
                    checked = True
                cleaned = _clean_paths(row, paths)
                if self._is_new(cleaned):
                    yield cleaned

    def _is_new(self, row: SourceRow) -> bool:
        """False for a row that cannot be used, and for one that equals an earlier row in every field."""
        self.read += 1
        if row.problem:
            self.refused.append(Refused(row, "bad_row", row.problem))
            return False
        try:
            mark = fingerprint(row.fields)
        except UnicodeEncodeError as error:
            self.refused.append(Refused(row, "bad_text", f"half a character: {error}"))
            return False
        if mark in self.seen:
            self.duplicates += 1
            return False
        self.seen.add(mark)
        return True


def _clean_paths(row: SourceRow, columns: list[str]) -> SourceRow:
    """The row with its paths in one spelling, so that `./a.mp4` and `a.mp4` make equal rows."""
    given = {name: row.fields.get(name) for name in columns}
    cleaned = {name: clean_path(value) for name, value in given.items() if isinstance(value, str) and value.strip()}
    return replace(row, fields={**row.fields, **cleaned}) if cleaned else row


def _check_columns(row: SourceRow, needed: tuple[str, ...], path: Path, hint: str) -> None:
    missing = [name for name in needed if name not in row.fields]
    if missing:
        there = f"it has {', '.join(row.fields)}"
        raise InvalidInputError(
            f"no columns {', '.join(missing)}", where=str(path), hint=f"{there}. {hint}" if hint else there
        )


def _first_pass(config: ImportConfig, files: list[Path]) -> tuple[set[str], int]:
    """Paths of all media that the files name, and how many rows there are."""
    reading = _Reading(config, files)
    found: set[str] = set()
    for outcome in reading.outcomes():
        if isinstance(outcome, Comparison):
            found.update(item.path for item in (outcome.first, outcome.second) if item.path)
    if not reading.read:
        raise InvalidInputError("no rows", where=str(config.path))
    return found, reading.read


def run(config: ImportConfig, warehouse: Warehouse) -> Receipt:
    """Import; raises InvalidInputError for a file that cannot be used as a whole, before anything is written."""
    chosen = FORMATS[config.format]
    files = list_files(config.path, chosen.suffixes)
    reading = _Reading(config, files)
    media_root = config.media_root or reading.root
    digests = [file_digest(path) for path in files]
    paths, total = _first_pass(config, files)
    inputs = {"files": content_id("files", *digests), "media": files_digest(media_root, paths)}
    licence = licence_row(config.licence, config.licence_url, config.non_commercial) if config.licence else None
    task = config.task or chosen.task

    def body(recorder: Recorder) -> None:
        if licence:
            warehouse.merge("licences", [licence], run_id=recorder.run_id)
        kind = "video" if task in ("t2v", "i2v") else "image"
        source = Source(config.source, task, kind, config.domain, licence["licence_id"] if licence else None)
        Store(source, warehouse, recorder, media_root, total).write(reading.outcomes())
        recorder.count("read", reading.read)
        recorder.count("duplicates", reading.duplicates)
        recorder.output("source", config.source)

    return run_stage("import", config, warehouse, inputs, body)
