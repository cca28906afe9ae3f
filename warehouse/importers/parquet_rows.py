"""Parquet, a few megabytes at a time: batches shrink where rows hold pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import InvalidInputError
from warehouse.importers.source_row import SourceRow

_BATCH_BYTES = 4 << 20
_LARGEST_BATCH = 2048


def read_parquet(path: Path, name: str) -> Iterator[SourceRow]:
    """Rows in the file's order; raises InvalidInputError where the file, or a part of it, cannot be read."""
    number = 0
    try:
        # Without pre_buffer a column's pages are read as they are needed, not a row group at once.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            for batch in file.iter_batches(batch_size=_batch_rows(file.metadata)):
                for fields, problem in _rows(batch):
                    number += 1
                    yield SourceRow(name, number, fields, problem)
    except (pa.ArrowException, OSError) as error:
        raise InvalidInputError(f"not readable as Parquet: {error}", where=str(path)) from error


def _batch_rows(about: pq.FileMetaData) -> int:
    size: int = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
    mean: int = max(size // max(about.num_rows, 1), 1)
    return max(1, min(_LARGEST_BATCH, _BATCH_BYTES // mean))


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[dict[str, Any], str]]:
    """Rows and their problems: text that is not UTF-8 costs its own row only."""
    try:
        yield from ((fields, "") for fields in batch.to_pylist())
    except UnicodeDecodeError:
        for at in range(batch.num_rows):
            try:
                yield batch.slice(at, 1).to_pylist()[0], ""
            except UnicodeDecodeError as error:
                yield {}, f"text that is not UTF-8: {error.reason}"
