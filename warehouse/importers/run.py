"""Stage `import`: a file or folder of preference data into prompts, candidates, pairs and votes.

Reads twice: once to check every byte and to see which media are there, once to write; both times a row at a time.
Absent media are counted; such candidates have no bytes and stay out of shards. Broken media and malformed rows are
rejects with file and row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from warehouse.catalog import Warehouse
from warehouse.errors import InvalidInputError
from warehouse.hashing import content_id
from warehouse.importers.by_columns import TableImport
from warehouse.importers.comparison import SIDE_LABELS, Comparison, FormatOptions, Licence
from warehouse.importers.fields import spelled
from warehouse.importers.formats import FORMATS
from warehouse.importers.media import files_digest
from warehouse.importers.prompt_texts import read_prompt_texts
from warehouse.importers.reading import Reading
from warehouse.importers.rows import file_digest, list_files
from warehouse.importers.store import Source, Store
from warehouse.records import DIMENSIONS, TASKS, Row, licence_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage


def _spelled_keys(value: Any) -> Any:
    """YAML reads 1 and true as no text; a label's value is what the file spells."""
    return (
        {spelled(key) if isinstance(key, int | float) else key: to for key, to in value.items()}
        if isinstance(value, dict)
        else value
    )


class ImportConfig(StageConfig):
    """`path` is a file or a folder in one of FORMATS; paths of media are relative to `media_root` (default: there).

    - `name`: the source's name (default: the format).
    - `task`, `dimension`: replace the format's own; of a format with several dimensions, `dimension` keeps that one.
    - `columns`: roles to columns, and `labels` values to first, second, tie or both_bad, where these are free.
    - `licence` (with `licence_url`, `non_commercial`): of the file, where it is not the published one's.
    - `min_confidence`: rows below it are left out (hpdv3). `prompts`: a file that knows each image's prompt (richhf).
    - `annotators`: each person's ranking and not their mean (hpdv2).
    """

    format: str
    path: Path = Field(json_schema_extra={"place": True})
    media_root: Path | None = Field(default=None, json_schema_extra={"place": True})
    name: str = ""
    task: str = ""
    dimension: str = ""
    domain: str = "id"
    columns: dict[str, str] = Field(default_factory=dict)
    labels: Annotated[dict[str, str], BeforeValidator(_spelled_keys)] = Field(default_factory=dict)
    licence: str = ""
    licence_url: str = ""
    non_commercial: bool = False
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    prompts: Path | None = Field(default=None, json_schema_extra={"place": True})
    annotators: bool = False

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
        wrong = sorted(set(self.labels.values()) - set(SIDE_LABELS))
        if wrong:
            raise ValueError(f"labels mean one of {', '.join(SIDE_LABELS)}, got {wrong}")
        for value, allowed in ((self.task, TASKS), (self.dimension, DIMENSIONS)):
            if value and value not in allowed:
                raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
        for option, format in (("min_confidence", "hpdv3"), ("prompts", "richhf"), ("annotators", "hpdv2")):
            if getattr(self, option) and self.format != format:
                raise ValueError(f"{option} is for {format} only")
        return self

    @property
    def source(self) -> str:
        """Name of the source in every row."""
        return self.name or self.format

    def licence_row(self) -> Row | None:
        """The licence that rows of this import carry."""
        published = FORMATS[self.format].licence
        given = Licence(self.licence, self.licence_url, self.non_commercial) if self.licence else published
        return licence_row(given.name, given.url, given.non_commercial) if given.name else None


class _Import:
    """One import: its files, and what is known of them before anything is written."""

    def __init__(self, config: ImportConfig) -> None:
        self.config, self.format = config, FORMATS[config.format]
        self.files = list_files(config.path, self.format.suffixes, self.format.skip)
        self.root = config.path if config.path.is_dir() else config.path.parent
        self.media_root = config.media_root or self.root
        self.digests = [file_digest(path) for path in self.files]

    @property
    def source(self) -> Source:
        """What its rows have in common."""
        task, licence = self.config.task or self.format.task, self.config.licence_row()
        kind = "video" if task in ("t2v", "i2v") else "image"
        return Source(self.config.source, task, kind, self.config.domain, licence["licence_id"] if licence else None)

    @cached_property
    def options(self) -> FormatOptions:
        config = self.config
        return FormatOptions(
            config.dimension,
            {**self.format.columns, **config.columns},
            config.labels,
            config.min_confidence,
            read_prompt_texts(config.prompts) if config.prompts else {},
            config.annotators,
        )

    def reading(self) -> Reading:
        """A fresh pass over the files."""
        return Reading(self.format, self.options, self.root, self.files)

    def inputs(self) -> tuple[dict[str, str], int]:
        """Digests of the files and of the media that are there, and the number of rows; raises InvalidInputError."""
        reading = self.reading()
        media = files_digest(self.media_root, _paths(reading))
        if not reading.read:
            raise InvalidInputError("no rows", where=str(self.config.path))
        return self.file_inputs() | {"media": media}, reading.read

    def file_inputs(self) -> dict[str, str]:
        """Digests of the files of rows."""
        inputs = {"files": content_id("files", *self.digests)}
        if self.config.prompts:
            known = self.options.prompts
            inputs["prompts"] = content_id(*[part for pair in sorted(known.items()) for part in pair])
        return inputs


def _paths(reading: Reading) -> Iterator[str]:
    for outcome in reading.outcomes(dedupe=False):
        if isinstance(outcome, Comparison):
            for item in (outcome.first, outcome.second, outcome.condition):
                if item is not None:
                    yield from (path for path in (item.path, *item.elsewhere) if path)


def run(config: ImportConfig, warehouse: Warehouse) -> Receipt:
    """Import; raises InvalidInputError for a file that cannot be used as a whole, before any row is written."""
    importing = _Import(config)
    return _by_columns(importing, warehouse) if importing.format.read is None else _by_rows(importing, warehouse)


def _by_columns(importing: _Import, warehouse: Warehouse) -> Receipt:
    with warehouse.scratch() as scratch:
        options, root = importing.options, importing.media_root
        table = TableImport(warehouse, scratch, importing.reading, root, options, importing.source)
        inputs = importing.file_inputs() | {"media": table.read()}
        return _stage(importing, warehouse, inputs, table.write)


def _by_rows(importing: _Import, warehouse: Warehouse) -> Receipt:
    inputs, total = importing.inputs()

    def write(recorder: Recorder) -> None:
        reading = importing.reading()
        Store(importing.source, warehouse, recorder, importing.media_root, total).write(reading.outcomes())
        recorder.count("read", reading.read)
        recorder.count("duplicates", reading.duplicates)

    return _stage(importing, warehouse, inputs, write)


def _stage(
    importing: _Import, warehouse: Warehouse, inputs: dict[str, str], write: Callable[[Recorder], None]
) -> Receipt:
    config, licence = importing.config, importing.config.licence_row()

    def body(recorder: Recorder) -> None:
        if licence:
            warehouse.merge("licences", [licence], run_id=recorder.run_id)
        recorder.tolerate(*importing.format.expected)
        write(recorder)
        recorder.output("source", config.source)
        recorder.output("licence", licence["name"] if licence else "")

    return run_stage("import", config, warehouse, inputs, body)
