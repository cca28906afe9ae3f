"""What public preference files do to importers: bad rows, bad files, two spellings, missing labels, other datasets."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.warehouse.test_importers import DATA, imported, labels
from warehouse import Warehouse, open_warehouse
from warehouse.errors import InvalidInputError, NotFoundError
from warehouse.importers.comparison import Comparison, FormatOptions, Refused
from warehouse.importers.fields import clean_path
from warehouse.importers.ratings import LIKERT
from warehouse.importers.rows import file_digest, read_rows
from warehouse.importers.run import ImportConfig
from warehouse.importers.source_row import SourceRow
from warehouse.media.encode import encode_png


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A warehouse that every test leaves as empty as it was."""
    with open_warehouse(str(tmp_path_factory.mktemp("untouched"))) as opened:
        yield opened


HEADER = ["path_A", "path_B", "prompt", "VQ", "MQ", "TA", "Overall", "A_model", "B_model"]


def write_csv(path: Path, header: list[str], rows: list[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def videogen(folder: Path, *rows: list[str]) -> Path:
    return write_csv(folder / "videogen-rewardbench.csv", HEADER, list(rows))


def test_a_missing_overall_costs_that_vote_only(warehouse: Warehouse, tmp_path: Path) -> None:
    path = videogen(tmp_path, ["a.mp4", "b.mp4", "a dog", "A", "same", "B", "", "kling", "luma"],
                    ["c.mp4", "d.mp4", "a cat", "A", "B", "B", "NaN", "kling", "luma"],
                    ["e.mp4", "f.mp4", "an owl", "", "", "", "", "kling", "luma"])  # fmt: skip
    answer = imported(warehouse, "videogen-rewardbench", path)
    assert (answer["votes"], answer["rejects_by_reason"], answer["media_absent"]) == (6, {"no_label": 1}, 4)
    assert not [key for key in labels(warehouse) if key[0] == "overall"]
    names = warehouse.rows("SELECT DISTINCT name FROM generators ORDER BY 1")
    assert [row["name"] for row in names] == ["kling", "luma"]


def test_two_spellings_of_a_path_are_one_item(warehouse: Warehouse, tmp_path: Path) -> None:
    row = ["a dog", "A", "A", "A", "A", "x", "y"]
    path = videogen(tmp_path, ["videos/a.mp4", "./videos/b.mp4", *row], ["./videos//a.mp4", "videos/b.mp4", *row])
    answer = imported(warehouse, "videogen-rewardbench", path)
    assert (answer["pairs"], answer["duplicates"], answer["votes"]) == (1, 1, 4)


def test_swapped_sides_are_the_same_pair_and_a_second_nameless_rater(warehouse: Warehouse, tmp_path: Path) -> None:
    path = videogen(tmp_path, ["a.mp4", "b.mp4", "a dog", "A", "", "", "", "x", "y"],
                    ["b.mp4", "a.mp4", "a dog", "A", "", "", "", "y", "x"])  # fmt: skip
    answer = imported(warehouse, "videogen-rewardbench", path)
    assert (answer["pairs"], answer["votes"], answer["duplicates"]) == (1, 2, 0)
    assert {label for _, label in labels(warehouse)} == {"a", "b"}
    raters = warehouse.rows("SELECT attributes_json FROM annotators")
    assert {json.loads(row["attributes_json"])["rater"] for row in raters} == {
        "source:videogen-rewardbench", "source:videogen-rewardbench#2",
    }  # fmt: skip


def test_malformed_rows_are_rejects_with_file_and_row(warehouse: Warehouse, tmp_path: Path) -> None:
    good = ["a.mp4", "b.mp4", "a dog", "A", "A", "A", "A", "x", "y"]
    path = videogen(tmp_path, good, ["a.mp4", "c.mp4", "a dog", "C", "A", "A", "A", "x", "y"], good[:5],
                    [*good, "more"], ["a.mp4", "d.mp4", "", "A", "A", "A", "A", "x", "y"],
                    ["a.mp4", "a.mp4", "a dog", "A", "A", "A", "A", "x", "y"],
                    ["../../secret.mp4", "e.mp4", "a dog", "A", "A", "A", "A", "x", "y"])  # fmt: skip
    answer = imported(warehouse, "videogen-rewardbench", path, reject_limit=1.0)
    assert answer["rejects_by_reason"] == {"bad_label": 1, "bad_row": 3, "missing_field": 1, "outside_root": 1}
    assert (answer["read"], answer["pairs"]) == (7, 1)
    places = warehouse.rows("SELECT location FROM rejects ORDER BY location")
    assert [row["location"] for row in places] == [f"videogen-rewardbench.csv:{n}" for n in range(2, 8)]


def test_too_many_rejects_are_over_the_limit_and_good_rows_stay(warehouse: Warehouse, tmp_path: Path) -> None:
    from warehouse.importers.run import run

    good = ["a.mp4", "b.mp4", "a dog", "A", "A", "A", "A", "x", "y"]
    path = videogen(tmp_path, good, good[:5], good[:4])
    receipt = run(ImportConfig(format="videogen-rewardbench", path=path), warehouse)
    assert receipt.over_limit and warehouse.rows("SELECT count(*) AS n FROM votes")[0]["n"] == 4


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("x.csv", b"", "empty"),
        ("x.csv", b" \n\n", "empty"),
        ("x.csv", "path_A,path_B,prompt\n".encode("utf-16"), "not UTF-8"),
        ("x.csv", b"path_A,path_B,prompt,VQ\na,b,caf\xe9,A\n", "not UTF-8"),
        ("x.csv", b"left,right,text\na,b,c\n", "no columns path_A"),
        ("x.csv", b"path_A,path_B,prompt,VQ\n", "no rows"),
        ("x.csv", b"path_A,path_A,prompt,VQ\na,b,c,A\n", "same name"),
        ("x.parquet", b"PK\x03\x04", "Parquet"),
        ("x.txt", b"hello", "kind"),
    ],
)
def test_files_that_cannot_be_used_at_all(
    untouched: Warehouse, tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInputError, match=says):
        imported(untouched, "videoalign", tmp_path / name)
    assert not untouched.rows("SELECT * FROM runs") and not untouched.rows("SELECT * FROM prompts")


def test_a_path_that_is_not_there(untouched: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        imported(untouched, "videoalign", tmp_path / "gone.csv")
    with pytest.raises(InvalidInputError, match="no files"):
        imported(untouched, "videoalign", tmp_path)


@pytest.mark.parametrize("options", [
    {"format": "hpdv9"}, {"format": "videoalign", "columns": {"prompt": "text"}}, {"format": "table", "task": "t3i"},
    {"format": "videoalign", "labels": {"A": "first"}}, {"format": "table", "labels": {"1": "left"}},
    {"format": "table", "dimension": "beauty"}, {"format": "table", "colour": "red"},
])  # fmt: skip
def test_options_that_do_not_fit(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ImportConfig(path=Path("x"), **options)


def _arena(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "test_v1.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def _picture(shade: int) -> dict[str, Any]:
    return {"bytes": encode_png(np.full((16, 16, 3), shade, np.uint8)), "path": None}


def test_genai_bench_pictures_in_parquet(warehouse: Warehouse, tmp_path: Path) -> None:
    row = {"prompt": "a dog", "left_model": "SDXL", "left_image": _picture(1), "right_model": "PixArt",
           "right_image": _picture(2), "vote_type": "leftvote"}  # fmt: skip
    swapped = {**row, "left_model": "PixArt", "left_image": _picture(2), "right_model": "SDXL",
               "right_image": _picture(1), "vote_type": "rightvote"}  # fmt: skip
    broken = {**row, "left_image": {"bytes": b"PK\x03\x04", "path": None}}
    odd = {**row, "vote_type": "upvote"}
    answer = imported(warehouse, "genai-bench-image", _arena(tmp_path, row, row, swapped, broken, odd))
    assert (answer["duplicates"], answer["media_absent"], answer["rejects_by_reason"]) == (
        1, 0, {"not_media": 1, "bad_label": 1},
    )  # fmt: skip
    # Without file names every row is a pair of its own; both people preferred SDXL's picture, shown on other sides.
    won = warehouse.rows(
        "SELECT g.name FROM votes v JOIN pairs p USING (pair_id) JOIN candidates c"
        " ON c.candidate_id = CASE v.label WHEN 'a' THEN p.candidate_a ELSE p.candidate_b END JOIN generators g"
        " USING (generator_id)"
    )
    assert [row["name"] for row in won] == ["SDXL", "SDXL"]
    assert warehouse.rows("SELECT count(*) AS n FROM media")[0]["n"] == 2


def test_the_other_genai_bench_is_named(untouched: Warehouse, tmp_path: Path) -> None:
    path = _arena(tmp_path, {"Prompt": "a dog", "Index": 0, "HumanRatings": {"SDXL": [3, 4, 5]}})
    with pytest.raises(InvalidInputError, match="BaiqiL"):
        imported(untouched, "genai-bench-image", path)


def test_media_that_arrive_later_are_taken_in(warehouse: Warehouse, tmp_path: Path) -> None:
    header, row = ["prompt", "first", "second", "label"], ["a dog", "a.png", "b.png", "first"]
    path = write_csv(tmp_path / "pairs.csv", header, [row])
    (tmp_path / "a.png").write_bytes(_picture(1)["bytes"])
    assert imported(warehouse, "table", path)["media_absent"] == 1
    (tmp_path / "b.png").write_bytes(_picture(2)["bytes"])
    answer = imported(warehouse, "table", path)
    assert answer["changed"] and (answer["media_absent"], answer["candidates"]) == (0, 1)


def test_a_broken_file_is_a_reject_and_a_clip_is_no_picture(warehouse: Warehouse, tmp_path: Path) -> None:
    header = ["prompt", "first", "second", "label"]
    (tmp_path / "a.png").write_bytes(_picture(1)["bytes"])
    (tmp_path / "cut.png").write_bytes(_picture(2)["bytes"][:45])
    (tmp_path / "clip.png").write_bytes((DATA / "videoalign-pairs/videos/example_2_A.mp4").read_bytes())
    path = write_csv(tmp_path / "pairs.csv", header, [
        ["a dog", "a.png", "cut.png", "first"], ["a dog", "a.png", "clip.png", "first"],
    ])  # fmt: skip
    answer = imported(warehouse, "table", path, reject_limit=1.0)
    assert answer["rejects_by_reason"] == {"truncated": 1, "wrong_kind": 1} and answer["votes"] == 0


def test_a_table_with_its_own_columns_labels_and_raters(warehouse: Warehouse, tmp_path: Path) -> None:
    header = ["text", "img1", "img2", "m1", "m2", "won", "who", "what"]
    path = write_csv(tmp_path / "pairs.tsv", header, [])
    rows = [["a dog", "1.png", "2.png", "sd", "flux", "1", "ann", "overall"],
            ["a dog", "1.png", "2.png", "sd", "flux", "0", "bob", "visual_quality"],
            ["a dog", "1.png", "2.png", "sd", "flux", "2", "bob", "overall"],
            ["a dog", "2.png", "1.png", "flux", "sd", "1", "ann", "overall"],
            ["a dog", "1.png", "2.png", "sd", "flux", "1", "ann", "beauty"]]  # fmt: skip
    path.write_text("\n".join("\t".join(row) for row in [header, *rows]) + "\n", encoding="utf-8")
    answer = imported(
        warehouse, "table", path, name="ours", licence="CC-BY-NC-4.0", non_commercial=True,
        columns={"prompt": "text", "first": "img1", "second": "img2", "model_first": "m1", "model_second": "m2",
                 "label": "won", "rater": "who", "dimension": "what"},
        labels={"1": "first", "2": "second", "0": "tie"},
    )  # fmt: skip
    # Ann's second vote on the pair contradicts her first one: it is kept as a reject, not as the truth.
    assert answer["rejects_by_reason"] == {"conflicting_vote": 1, "bad_dimension": 1}
    assert (answer["pairs"], answer["votes"], answer["ties"], answer["candidates"]) == (1, 3, 1, 2)
    assert warehouse.rows("SELECT non_commercial FROM licences")[0]["non_commercial"]
    assert {row["source"] for row in warehouse.rows("SELECT source FROM votes")} == {"ours"}


def test_a_corrected_file_does_not_overwrite_votes(warehouse: Warehouse, tmp_path: Path) -> None:
    header = ["prompt", "first", "second", "label"]
    path = write_csv(tmp_path / "pairs.csv", header, [["a dog", "a.png", "b.png", "first"]])
    imported(warehouse, "table", path)
    before = labels(warehouse)
    write_csv(path, header, [["a dog", "a.png", "b.png", "second"]])
    answer = imported(warehouse, "table", path, reject_limit=1.0)
    assert answer["rejects_by_reason"] == {"conflicting_vote": 1} and labels(warehouse) == before


def test_half_a_character_is_a_reject(warehouse: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    good = {"prompt": "a dog", "first": "a.png", "second": "b.png", "label": "tie"}
    lines = [json.dumps(good), json.dumps({**good, "prompt": "\ud83d"}), "{", "[1]"]
    path.write_text("\n".join(lines), encoding="utf-8")
    answer = imported(warehouse, "table", path, reject_limit=1.0)
    assert (answer["votes"], answer["rejects_by_reason"]) == (1, {"bad_text": 1, "bad_row": 2})


def test_rankings_that_do_not_fit(warehouse: Warehouse, tmp_path: Path) -> None:
    good = {"id": "1", "prompt": "a dog", "generations": ["a.webp", "b.webp", "c.webp"], "ranking": [2, 1, 1]}
    bad = [{**good, "ranking": [1, 2]}, {**good, "ranking": [0, 1, 2]}, {**good, "generations": None},
           {**good, "generations": ["a.webp", "./a.webp", "c.webp"]}, {**good, "ranking": [1.5, 1, 2]}]  # fmt: skip
    (tmp_path / "test.json").write_text(json.dumps([good, *bad]), encoding="utf-8")
    answer = imported(warehouse, "imagereward-ranking", tmp_path, reject_limit=1.0)
    assert (answer["pairs"], answer["ties"]) == (3, 1)
    assert answer["rejects_by_reason"] == {"bad_ranking": 4, "missing_field": 1}


Scores = st.dictionaries(st.sampled_from("uvwxyz"), st.integers(1, 5), min_size=1, max_size=6)
_NAMES = {"prompt": "p", "model": "m", "rater": "r", "score": "s", "path": ""}


@given(st.dictionaries(st.sampled_from(["ann", "bob", "eve"]), Scores, min_size=1), st.randoms())
def test_likert_pairs_do_not_depend_on_the_order_of_rows(ratings: dict[str, dict[str, int]], random: Any) -> None:
    """Every rater with n scores gives n(n-1)/2 comparisons, won by the higher score; one score alone is refused."""
    rows = [
        SourceRow("f.csv", number, {"p": "a dog", "r": rater, "m": model, "s": str(score)})
        for number, (rater, model, score) in enumerate(
            (rater, model, score) for rater, scores in ratings.items() for model, score in scores.items()
        )
    ]
    random.shuffle(rows)
    found = list(LIKERT.read(rows, FormatOptions(columns=_NAMES)))
    compared = [item for item in found if isinstance(item, Comparison)]
    assert len(compared) == sum(len(scores) * (len(scores) - 1) // 2 for scores in ratings.values())
    assert sum(isinstance(item, Refused) for item in found) == sum(len(scores) == 1 for scores in ratings.values())
    for item in compared:
        first, second = (ratings[str(item.rater)][side.model] for side in (item.first, item.second))
        assert item.labels["text_alignment"] == ("tie" if first == second else "first" if first > second else "second")


@given(st.lists(st.sampled_from(["videos", "a", "b.mp4"]), min_size=1, max_size=4), st.data())
def test_spellings_of_a_path(parts: list[str], data: st.DataObject) -> None:
    joins = [data.draw(st.sampled_from(["/", "//", "/./", "\\"])) for _ in parts[1:]]
    spelled = "".join(part + join for part, join in zip(parts, [*joins, ""], strict=True))
    assert clean_path(data.draw(st.sampled_from(["", "./", " "])) + spelled) == "/".join(parts)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_rows_or_a_clear_error(tmp_path: Path, data: bytes) -> None:
    """No file of whatever content ends in anything but rows, problems, or an InvalidInputError."""
    for suffix in (".csv", ".json", ".jsonl", ".txt", ".parquet"):
        path = tmp_path / f"x{suffix}"
        path.write_bytes(data)
        try:
            file_digest(path)
            rows = list(read_rows(path))
        except InvalidInputError:
            continue
        assert all(row.problem or isinstance(row.fields, dict) for row in rows)


def test_swapping_sides_swaps_the_label(warehouse: Warehouse, tmp_path: Path) -> None:
    """The same judgements written the other way round, by the same raters, are there already."""
    swap = {"first": "second", "second": "first"}
    rows = [[f"{name}.png", "z.png" if name != "z" else "a.png", label]
            for name, label in zip("abcdxyz", ["first", "second", "tie", "both_bad", "first", "second", "tie"],
                                   strict=True)]  # fmt: skip
    rows = [["a dog", *row, f"rater {number}"] for number, row in enumerate(rows)]
    header = ["prompt", "first", "second", "label", "rater"]
    columns = {"rater": "rater"}
    imported(warehouse, "table", write_csv(tmp_path / "one.csv", header, rows), columns=columns)
    turned = [[prompt, second, first, swap.get(label, label), rater] for prompt, first, second, label, rater in rows]
    answer = imported(warehouse, "table", write_csv(tmp_path / "two.csv", header, turned), columns=columns)
    assert (answer["already_there"], answer["votes"], answer["pairs"], answer["rejects"]) == (7, 0, 0, 0)
