"""Traps of the published files, on plain rows: no warehouse, a few milliseconds each."""

from __future__ import annotations

import json
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.warehouse.importers import tfrecords
from warehouse.errors import InvalidInputError
from warehouse.importers.comparison import Comparison, Embedded, FormatOptions, Outcome, Refused
from warehouse.importers.formats import FORMATS
from warehouse.importers.json_rows import _BLOCK
from warehouse.importers.reading import Reading
from warehouse.importers.rows import file_digest, read_rows
from warehouse.importers.source_row import SourceRow


def outcomes(format: str, *rows: dict[str, Any], file: str = "x.json", **options: Any) -> list[Outcome]:
    columns = {**FORMATS[format].columns, **options.pop("columns", {})}
    listed = [SourceRow(file, number, fields, index=number - 1) for number, fields in enumerate(rows, 1)]
    read = FORMATS[format].read
    assert read
    return list(read(listed, FormatOptions(columns=columns, **options)))


def reasons(found: list[Outcome]) -> Counter[str]:
    return Counter(outcome.reason for outcome in found if isinstance(outcome, Refused))


def comparisons(found: list[Outcome]) -> list[Comparison]:
    return [outcome for outcome in found if isinstance(outcome, Comparison)]


def test_stray_carriage_returns_are_blanks_and_end_no_row(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b'a,b\r\none\rtwo,1\r\n"x\r\ny",2\nlast,3\r')
    rows = list(read_rows(path))
    assert [tuple(row.fields.values()) for row in rows] == [("one two", "1"), ("x\r\ny", "2"), ("last", "3")]
    path.write_bytes(b"a,b\rone,1\rtwo,2\r")
    assert [row.fields for row in read_rows(path)] == [{"a": "one", "b": "1"}, {"a": "two", "b": "2"}]


def test_json_lists_are_read_an_element_at_a_time(tmp_path: Path) -> None:
    """Elements, numbers and blanks that a block's end cuts in two, and one element larger than a block."""
    path = tmp_path / "x.json"
    wanted = [{"n": n, "text": "é" * (n % 7)} for n in range(9000)] + [{"text": "z" * 3 * _BLOCK}, 12345678901234567890]
    path.write_text(" [" + " ,\n ".join(json.dumps(value, ensure_ascii=False) for value in wanted) + " ]\n")
    rows = list(read_rows(path))
    assert [row.fields for row in rows[:-1]] == wanted[:-1] and rows[-1].problem.endswith("got int")
    assert [row.number for row in rows] == list(range(1, len(wanted) + 1))


@pytest.mark.parametrize(
    "text", ['{"a": 1}', "[1", "[1, 2", "[1 2]", "[1,]", "[1] x", '["a', '{"rows": [', "nothing", "[" * 100_000]
)
def test_json_that_is_no_list_of_rows(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match="JSON"):
        list(read_rows(path))


def test_parquet_text_that_is_not_utf_8_costs_its_own_row(tmp_path: Path) -> None:
    texts = pa.array([b"good", b"\xff\xfe", b"fine"]).cast(pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": texts}), tmp_path / "x.parquet")
    rows = list(read_rows(tmp_path / "x.parquet"))
    assert [row.fields.get("text") for row in rows] == ["good", None, "fine"] and "UTF-8" in rows[1].problem


def test_tfrecords_are_read_without_tensorflow(tmp_path: Path) -> None:
    assert tfrecords.crc32c(b"123456789") == 0xE3069283
    values = {"filename": "a.png", "overall_score": 0.5, "count": 3, "artifact_map": b"\x80" * 5000, "raw": b"\xff"}
    path = tfrecords.write(tmp_path / "x.tfrecord", values, b"\x0a\xff")
    good, bad = read_rows(path)
    assert good.fields == {"filename": "a.png", "overall_score": 0.5, "count": 3, "raw": b"\xff"}
    assert "tf.train.Example" in bad.problem
    whole = path.read_bytes()
    for broken in (whole[:-1], whole[:5], b"\x01" + whole[1:], struct.pack("<Q", 1 << 60) + whole[8:]):
        path.write_bytes(broken)
        file_digest(path)
        with pytest.raises(InvalidInputError, match=r"TFRecord|cut off|a record of"):
            list(read_rows(path))


def test_hpdv3_rows_below_the_wanted_confidence_are_left_out() -> None:
    row = {"prompt": "a dog", "path1": "1.jpg", "path2": "2.jpg", "model1": None, "choice_dist": None}
    rows = [row | {"confidence": value} for value in (0.99, 0.5, None, "0.99")]
    assert reasons(outcomes("hpdv3", *rows, min_confidence=0.95)) == {"low_confidence": 3}
    assert len(comparisons(outcomes("hpdv3", *rows))) == 4


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"human_preference": [1, 1]}, "bad_label"),
        ({"human_preference": [True, False]}, "bad_label"),
        ({"human_preference": [1, 0, 0], "file_path": ["a", "b", "c"]}, "bad_label"),
        ({"human_preference": None}, "bad_label"),
        ({"rank": [1]}, "bad_ranking"),
        ({"rank": [1, float("nan")]}, "bad_ranking"),
        ({"raw_annotations": [{"rank": [1, 1, 2], "user_hash": "u"}]}, "bad_ranking"),
        ({"file_path": "a.jpg", "rank": [1, 2]}, "missing_field"),
    ],
)
def test_hpdv2_rows_that_do_not_fit(fields: dict[str, Any], reason: str) -> None:
    row = {"prompt": "a dog", "file_path": ["a.jpg", "b.jpg"]} | fields
    assert reasons(outcomes("hpdv2", row)) == {reason: 1} and not comparisons(outcomes("hpdv2", row))


def test_hpdv2_one_bad_annotation_costs_that_person_only() -> None:
    row = {"prompt": "a dog", "image_path": ["a.jpg", "b.jpg"], "rank": [1, 2],
           "raw_annotation": [{"rank": [1, 2], "user_hash": "u"}, {"rank": [2], "user_hash": "v"}, 5]}  # fmt: skip
    found = outcomes("hpdv2", row, file="HPD/test.json", annotators=True)
    assert [item.rater for item in comparisons(found)] == ["u"] and reasons(found) == {"bad_ranking": 2}
    assert comparisons(found)[0].first.name == "test/a.jpg"
    # By default the mean of all rankings is one vote of the source; copies without it have the people only.
    assert [(item.rater, item.one_vote) for item in comparisons(outcomes("hpdv2", row))] == [(None, True)]
    del row["rank"]
    assert [item.rater for item in comparisons(outcomes("hpdv2", row))] == ["u"]


PICK = {"caption": "a dog", "image_0_uid": "x", "image_1_uid": "y", "label_0": 1.0, "label_1": 0.0, "has_label": True,
        "best_image_uid": "x", "jpg_0": b"0", "jpg_1": b"1", "user_id": 3}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"has_label": False}, "no_label"),
        ({"label_0": None}, "no_label"),
        ({"label_0": float("nan")}, "bad_score"),
        ({"label_0": 1.0, "label_1": 1.0}, "bad_label"),
        ({"best_image_uid": "y"}, "bad_label"),
        ({"image_0_uid": None}, "missing_field"),
        ({"jpg_0": 5}, "missing_field"),
    ],
)
def test_pickapic_rows_that_do_not_fit(fields: dict[str, Any], reason: str) -> None:
    assert reasons(outcomes("pickapic", PICK | fields)) == {reason: 1}


def test_pickapic_without_images_has_items_without_media() -> None:
    row = {key: value for key, value in PICK.items() if not key.startswith("jpg")}
    [found] = comparisons(outcomes("pickapic", row))
    assert (found.first.name, found.first.path, found.first.data, found.rater) == ("x", "", None, "3")


def test_imagerewarddb_groups_end_when_they_are_complete() -> None:
    """A million rows do not wait in memory for the file's end; one that never completes is compared there."""
    row = {"prompt": "p", "prompt_id": "1", "image_amount_in_total": 2}
    rows = [row | {"image_path": name, "rank": rank} for name, rank in (("a", 1), ("b", 2))]
    rows += [row | {"prompt_id": "2", "image_amount_in_total": 3, "image_path": name, "rank": 1} for name in "cd"]
    rows += [row | {"prompt_id": "3", "image_path": "e", "rank": 0}, row | {"image_path": "a", "rank": 1}]
    read = list[int]()

    def watched() -> Any:
        for number, fields in enumerate(rows, 1):
            read.append(number)
            yield SourceRow("x.json", number, fields)

    read_rows_of = FORMATS["imagerewarddb"].read
    assert read_rows_of
    found = read_rows_of(watched(), FormatOptions())
    first = next(found)
    assert isinstance(first, Comparison) and first.labels == {"overall": "first"} and len(read) == 2
    rest = list(found)
    assert [item.labels for item in comparisons(rest)] == [{"overall": "tie"}]
    assert reasons(rest) == {"bad_ranking": 1, "nothing_to_compare": 1}


def test_pictures_are_handed_over_and_not_held() -> None:
    rows = [{"internal_id": n, "prompt": "p", "annotation": {"symmetry": n}, "image": b"%d" % n} for n in range(3)]
    found = outcomes("visionreward-image", *rows)
    assert [item.item.data for item in found if isinstance(item, Embedded)] == [b"0", b"1", b"2"]
    pairs = comparisons(found)
    assert len(pairs) == 3 and all(side.data is None for item in pairs for side in (item.first, item.second))
    assert not any(row.fields for item in pairs for row in item.rows)


def test_visionreward_compares_whole_annotations_only() -> None:
    rows = [{"internal_id": n, "prompt": "p", "annotation": aspects} for n, aspects in
            enumerate([{"symmetry": 1, "body": None}, {"symmetry": 0, "body": 1}, {"safety": 1}, "none"])]  # fmt: skip
    found = outcomes("visionreward-image", *rows)
    assert reasons(found) == {"nothing_to_compare": 2, "no_label": 1, "missing_field": 1}


def test_richhf_prompts_are_found_by_name() -> None:
    row = {"filename": "train/u-1.png", "overall_score": 0.5, "misalignment_score": 0.5}
    rows = [row, row | {"filename": "train/u-2.png"}, row | {"filename": "train/u-3.png"}]
    found = outcomes("richhf", *rows, prompts={"u-1": "a dog", "train/u-2.png": "a dog"})
    assert [item.labels for item in comparisons(found)] == [{"overall": "tie", "text_alignment": "tie"}]
    assert reasons(found) == {"no_prompt": 1}


def _studio(*answers: tuple[object, dict[str, Any]], **more: Any) -> dict[str, Any]:
    annotations = [{"id": n, "completed_by": by, "result": [{"from_name": "better", "value": value}], **more}
                   for n, (by, value) in enumerate(answers)]  # fmt: skip
    data = {"q": "a dog", "one": "s3://bucket/a.png?sig=1", "two": "/data/upload/3/b.png"}
    return {"id": 1, "data": data, "annotations": annotations}


NAMED = {"prompt": "q", "first": "one", "second": "two", "label": "better"}


def test_label_studio_controls_and_values_of_other_projects() -> None:
    """A control of another name, the Pairwise tag, values that the config explains."""
    task = _studio((1, {"choices": ["A is better"]}), (2, {"selected": "right"}), (3, {"choices": ["a", "b"]}))
    labels = {"A is better": "first", "right": "second"}
    found = outcomes("label-studio", task, columns=NAMED, labels=labels, dimension="visual_quality")
    assert [(item.rater, item.labels) for item in comparisons(found)] == [
        ("user 1", {"visual_quality": "first"}), ("user 2", {"visual_quality": "second"}),
    ]  # fmt: skip
    assert reasons(found) == {"bad_label": 1}
    first, second = comparisons(found)[0].first, comparisons(found)[0].second
    assert (first.name, first.path, second.path) == ("s3://bucket/a.png", "", "3/b.png")


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (_studio(), "no_label"),
        (_studio((1, {"choices": ["left"]}), was_cancelled=True), "no_label"),
        (_studio((None, {"choices": ["left"]})), "no_annotator"),
        ({"id": 1, "data": None, "annotations": []}, "missing_field"),
        ({"id": 1, "data": {"q": "p", "one": "a", "two": "b"}, "annotations": None}, "missing_field"),
        (_studio() | {"data": {"q": "p"}}, "missing_field"),
    ],
)
def test_label_studio_tasks_without_a_vote(task: dict[str, Any], reason: str) -> None:
    assert reasons(outcomes("label-studio", task, columns=NAMED)) == {reason: 1}


def test_files_of_another_dataset_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text('[{"prompt": "p", "file_path": ["a", "b"], "human_preference": [1, 0]}]')
    (tmp_path / "x.json").write_text('[{"question": "q"}]')
    for format, file, says in (
        ("hpdv2", "x.json", "benchmark"),
        ("genai-bench-judge", "x.json", "BaiqiL"),
        ("label-studio", "train.json", "JSON-MIN"),
    ):
        options = FormatOptions(columns=FORMATS[format].columns)
        reading = Reading(FORMATS[format], options, tmp_path, [tmp_path / file])
        with pytest.raises(InvalidInputError, match=says):
            list(reading.outcomes())
