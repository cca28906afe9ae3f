"""Whatever a file holds, reading it ends in comparisons, counted rejects, or an error that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.warehouse.importers import tfrecords
from warehouse.errors import InvalidInputError
from warehouse.importers.comparison import Comparison, Embedded, FormatOptions, Refused
from warehouse.importers.formats import FORMATS
from warehouse.importers.reading import Reading
from warehouse.importers.rows import file_digest, read_rows
from warehouse.importers.source_row import SourceRow

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".txt", ".parquet", ".tfrecord")
# Columns that formats look at beside those they require.
OPTIONAL = ("file_path", "image_path", "human_preference", "rank", "raw_annotations", "user_hash", "label_0", "label_1",
            "has_label", "best_image_uid", "user_id", "confidence", "model1", "generations", "ranking", "id",
            "image_amount_in_total", "left_image", "right_image", "left_video", "left_output_image", "source_image",
            "model_vote", "response", "VQ", "MQ", "Overall", "A_model", "image", "jpg_0", "overall_score", "prompt",
            "created_at", "annotations", "annotation")  # fmt: skip
WORDS = st.sampled_from(["a dog", "A", "same", "first", "leftvote", "left", "[[A>B]]", "1", "", " ", "nan", "../x",
                         "https://x/y?d=z", "\ud83d", "\x00", "1e999", "2023-13-01", "http://[x"])  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | WORDS | st.binary(max_size=3)
VALUES = st.recursive(
    SCALARS | st.just(datetime(1, 1, 1)) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["bytes", "path", "rank", "user_hash", "result", "value", "choices", "text",
                                       "from_name", "completed_by", "id", "left", "right", "prompt", "safety"]), inner,
                      max_size=4),
    max_leaves=6,
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(name for name in FORMATS if FORMATS[name].read))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_rows_of_any_values(name: str, data: st.DataObject) -> None:
    """Every row is told of: it stands behind a comparison, or it is refused under a short code."""
    format = FORMATS[name]
    columns = sorted({*format.required, *(column for column in format.columns.values() if column)})
    optional = {column: VALUES for column in OPTIONAL if column not in columns}
    drawn = st.fixed_dictionaries({column: VALUES for column in columns}, optional=optional)
    rows = [SourceRow("d/x.json", number, fields) for number, fields in
            enumerate(data.draw(st.lists(drawn, min_size=1, max_size=3)), 1)]  # fmt: skip
    told = set[int]()
    assert format.read
    for outcome in format.read(rows, FormatOptions(columns=format.columns)):
        if isinstance(outcome, Comparison):
            told.update(row.number for row in outcome.rows)
            assert set(outcome.labels.values()) <= {"first", "second", "tie", "both_bad"} and outcome.labels
            assert outcome.prompt.strip() and outcome.first.name and outcome.second.name
        elif isinstance(outcome, Refused):
            told.add(outcome.row.number)
            assert outcome.reason.isidentifier() and outcome.detail
        else:
            assert isinstance(outcome, Embedded)
    if name not in ("hpdv2", "imagereward-ranking", "label-studio"):
        assert told == {row.number for row in rows}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(data=st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_any_bytes_are_rows_or_a_clear_error(tmp_path: Path, data: bytes) -> None:
    for suffix in SUFFIXES:
        path = tmp_path / f"x{suffix}"
        path.write_bytes(data)
        try:
            file_digest(path)
            rows = list(read_rows(path))
        except InvalidInputError as error:
            assert str(path) in error.where
            continue
        assert all(row.problem or isinstance(row.fields, dict) for row in rows)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(body=st.binary(max_size=60))
def test_any_record_is_an_example_or_a_problem(tmp_path: Path, body: bytes) -> None:
    path = tfrecords.write(tmp_path / "x.tfrecord", body)
    [row] = read_rows(path)
    assert row.problem or isinstance(row.fields, dict)


def _broken(text: str, rows: int) -> Iterator[str]:
    """The text with one character less, or one that does not belong there."""
    for at in range(0, len(text), max(len(text) // rows, 1)):
        yield text[:at] + text[at + 1 :]
        yield text[:at] + '"' + text[at:]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_damaged_table_costs_rows_and_never_the_import(tmp_path: Path, suffix: str) -> None:
    row = {"prompt": "a dog", "first": "a.png", "second": "b.png", "label": "tie"}
    text = {".csv": ",".join(row) + "\n" + 4 * (",".join(row.values()) + "\n"),
            ".jsonl": 4 * (str(row).replace("'", '"') + "\n")}[suffix]  # fmt: skip
    path, options = tmp_path / f"x{suffix}", FormatOptions(columns=dict[str, Any](FORMATS["table"].columns))
    for damaged in _broken(text, 40):
        path.write_text(damaged)
        reading = Reading(FORMATS["table"], options, tmp_path, [path])
        try:
            whole = list(reading.rows(path))
        except InvalidInputError as error:
            assert "column" in str(error)
            continue
        assert len(whole) + len(list(reading.refusals())) == reading.read
        assert len(whole) >= 2 - (suffix == ".csv") * 2
