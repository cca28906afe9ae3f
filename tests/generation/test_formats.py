"""Prompt files: the real sets with the sizes their papers publish, and files with something wrong in them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from generation.formats import FORMATS, read_prompts
from generation.prompts import PromptConfig, run
from warehouse import Warehouse, open_warehouse
from warehouse.errors import ConfigError, InvalidInputError, NotFoundError
from warehouse.importers.answer import import_answer

DATA = Path(__file__).resolve().parents[1] / "data"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """One warehouse for the real sets; their prompts do not overlap."""
    with open_warehouse(str(tmp_path_factory.mktemp("prompts"))) as opened:
        yield opened


def imported(warehouse: Warehouse, format: str, path: Path, **options: Any) -> dict[str, Any]:
    config = PromptConfig(
        source="generation.formats:read_prompts", options={"format": format, "path": str(path), **options},
        licence="Apache-2.0", reject_limit=0.9,
    )  # fmt: skip
    return import_answer(run(config, warehouse))


def test_partiprompts_has_1632_prompts_and_keeps_their_quotation_marks(shared: Warehouse) -> None:
    answer = imported(shared, "partiprompts", DATA / "partiprompts" / "PartiPrompts.tsv")
    assert (answer["read"], answer["prompts"], answer["rejects"]) == (1632, 1632, 0)
    [row] = shared.rows("SELECT text, tags_json, licence_id, task, media_kind FROM prompts WHERE text LIKE '%G I G G%'")
    assert row["text"].startswith('"G I G G L E" painted in thick')
    assert json.loads(row["tags_json"])["category"] and row["licence_id"] == "apache-2.0"
    assert (row["task"], row["media_kind"]) == ("t2i", "image")
    again = imported(shared, "partiprompts", DATA / "partiprompts" / "PartiPrompts.tsv")
    assert (again["prompts"], again["already_there"], again["changed"]) == (0, 1632, False)


def test_geneval_has_553_prompts_with_their_specification(shared: Warehouse) -> None:
    answer = imported(shared, "geneval", DATA / "geneval-prompts" / "evaluation_metadata.jsonl")
    assert (answer["read"], answer["prompts"]) == (553, 553)
    [row] = shared.rows("SELECT tags_json FROM prompts WHERE text = 'a photo of a bench' AND source = 'geneval'")
    assert json.loads(row["tags_json"]) == {"tag": "single_object", "include": [{"class": "bench", "count": 1}]}


def test_vbench_joins_the_dimensions_of_a_repeated_prompt(shared: Warehouse) -> None:
    """946 entries name 944 texts, 943 where case and white space do not count."""
    answer = imported(shared, "vbench", DATA / "vbench-prompts" / "VBench_full_info.json")
    assert (answer["read"], answer["prompts"], answer["already_there"], answer["duplicates"]) == (946, 943, 3, 0)
    [row] = shared.rows(
        "SELECT tags_json, task, media_kind FROM prompts WHERE text = 'The bund Shanghai, oil painting'"
    )
    tags = json.loads(row["tags_json"])
    named = {"aesthetic_quality", "appearance_style", "imaging_quality", "overall_consistency"}
    assert set(tags["dimension"]) == named and len(tags["dimension"]) == 4
    assert tags["auxiliary_info"] == {"appearance_style": {"appearance_style": "oil painting"}}
    assert (row["task"], row["media_kind"]) == ("t2v", "video")
    lines = imported(shared, "txt", DATA / "vbench-prompts" / "all_dimension.txt", task="t2v")
    assert (lines["read"], lines["duplicates"], lines["prompts"]) == (946, 2, 0)


def test_drawbench_csv_jsonl_and_parquet_files(shared: Warehouse, tmp_path: Path) -> None:
    with (tmp_path / "DrawBench.csv").open("w", newline="") as file:
        rows_of_file = [["Prompts", "Category"], ["A red cube, unseen", "Colors"], ["A bird of no kind", "Text"]]
        csv.writer(file).writerows(rows_of_file)
    rows = [
        {"caption": "a lone tree", "score": float("nan"), "n": 3},
        {"caption": "a lone house", "score": 0.5, "n": 4},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "mine.parquet")
    (tmp_path / "mine.jsonl").write_text('{"prompt": "an empty street"}\n\n{"prompt": "an empty street"}\n')
    assert imported(shared, "drawbench", tmp_path / "DrawBench.csv")["prompts"] == 2
    assert imported(shared, "parquet", tmp_path / "mine.parquet", column="caption", source="mine")["prompts"] == 2
    answer = imported(shared, "jsonl", tmp_path)
    assert (answer["prompts"], answer["duplicates"]) == (1, 1)
    tags = shared.rows("SELECT tags_json FROM prompts WHERE text = 'a lone tree' AND source = 'mine'")
    assert json.loads(tags[0]["tags_json"]) == {"n": 3}


def _tags(warehouse: Warehouse, source: str) -> dict[str, Any]:
    rows = warehouse.rows("SELECT text, tags_json FROM prompts WHERE source = ?", [source])
    return {row["text"]: json.loads(row["tags_json"]) for row in rows}


def test_vbench2_auxiliary_facts_are_words_or_lists(shared: Warehouse, tmp_path: Path) -> None:
    asked = ["Is it cork?", "Does it float?"]
    rows = [
        {"prompt_en": "Fjord, zoom in.", "dimension": ["Camera_Motion"], "auxiliary_info": "zoom_in"},
        {"prompt_en": "A cork floats.", "dimension": ["Mechanics"], "auxiliary_info": asked},
        {"prompt_en": "A cork floats.", "dimension": ["Material", "Mechanics"]},
    ]
    (tmp_path / "VBench2_full_info.json").write_text(json.dumps(rows))
    answer = imported(shared, "vbench2", tmp_path / "VBench2_full_info.json")
    assert (answer["read"], answer["prompts"], answer["already_there"]) == (3, 2, 1)
    assert _tags(shared, "vbench2") == {
        "Fjord, zoom in.": {"dimension": ["Camera_Motion"], "auxiliary_info": ["zoom_in"]},
        "A cork floats.": {"dimension": ["Mechanics", "Material"], "auxiliary_info": asked},
    }


def test_t2i_compbench_files_name_category_and_split(shared: Warehouse, tmp_path: Path) -> None:
    """One prompt a line, no quoting, the last line without its end; color.txt repeats what the splits hold."""
    for name, lines in {"color.txt": ["a teal yak", "a mauve emu"], "color_val_seen.txt": ["a teal yak"],
                        "3d_spatial_train.txt": ['a "yak" behind an emu, at dusk'],
                        "non_spatial.txt": ["emus dance"]}.items():  # fmt: skip
        (tmp_path / name).write_text("\n".join(lines))
    answer = imported(shared, "t2i-compbench", tmp_path)
    assert (answer["read"], answer["prompts"], answer["already_there"], answer["duplicates"]) == (5, 4, 1, 0)
    assert _tags(shared, "t2i-compbench") == {
        "a teal yak": {"category": ["color"], "split": ["val"], "part": ["seen"]},
        "a mauve emu": {"category": ["color"]},
        'a "yak" behind an emu, at dusk': {"category": ["3d_spatial"], "split": ["train"]},
        "emus dance": {"category": ["non_spatial"]},
    }


def test_dpg_bench_text_files_and_its_table_are_the_same_prompts(shared: Warehouse, tmp_path: Path) -> None:
    text = "A dense prompt, of two sentences.\nThis is the second one."
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "12.txt").write_text(text + "\n")
    header = ["item_id", "text", "keywords", "proposition_id", "dependency", "category_broad", "category_detailed",
              "tuple", "question_natural_language"]  # fmt: skip
    rows = [["12", text, "", "1", "0", "entity", "whole", "entity - whole (prompt)", "Is there a prompt?"],
            ["12", text, "", "2", "1", "attribute", "state", "attribute - state (dense)", "Is it dense?"]]  # fmt: skip
    with (tmp_path / "dpg_bench.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    answer = imported(shared, "dpg-bench", tmp_path)
    assert (answer["read"], answer["prompts"], answer["already_there"]) == (3, 1, 2)
    [(found, tags)] = _tags(shared, "dpg-bench").items()
    assert found == text and tags["item_id"] == "12"
    assert [question["question_natural_language"] for question in tags["questions"]] == [
        "Is there a prompt?", "Is it dense?",
    ]  # fmt: skip


def test_gecko_has_a_nameless_first_column(shared: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "prompts.csv").write_text(
        ",dataset_id,prompt,prompt_type,prompt_id,max_disagreement_less_0.5\n"
        '0,render/text,"a sign that says ""geckö, 2""",Gecko(S),80,True\n'
    )
    assert imported(shared, "gecko", tmp_path / "prompts.csv")["prompts"] == 1
    assert _tags(shared, "gecko") == {
        'a sign that says "geckö, 2"': {
            "dataset_id": "render/text", "prompt_type": "Gecko(S)", "prompt_id": "80",
            "max_disagreement_less_0.5": "True",
        }
    }  # fmt: skip


def test_bad_rows_are_rejects_with_file_and_row(shared: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"prompt": "one good row"}\n{"prompt": ""}\n{"prompt": 5}\n{"text": "x"}\n{"prom\n["a"]\n'
                    '{"prompt": "half \\ud83d"}\n', encoding="utf-8")  # fmt: skip
    answer = imported(shared, "jsonl", path, source="bad rows")
    assert (answer["read"], answer["prompts"], answer["rejects_by_reason"]) == (7, 1, {"bad_prompt": 6})
    rows = shared.rows("SELECT location, source FROM rejects ORDER BY location")
    assert [row["location"] for row in rows] == [f"bad.jsonl:{n}" for n in range(2, 8)]
    assert {row["source"] for row in rows} == {"bad rows"}
    short = tmp_path / "short.csv"
    short.write_text("prompt,style\na wide river,oil\nno style\n,ink\n", encoding="utf-8")
    assert imported(shared, "csv", short)["rejects_by_reason"] == {"bad_prompt": 2}


@pytest.mark.parametrize("format", sorted(FORMATS))
@pytest.mark.parametrize("data", [b"", b"\n  \n", b"\xff\xfeP\x00r\x00", b"caf\xe9\n"])
def test_empty_files_and_files_that_are_not_utf_8(tmp_path: Path, format: str, data: bytes) -> None:
    path = tmp_path / f"prompts{FORMATS[format].suffixes[0]}"
    path.write_bytes(data)
    with pytest.raises(InvalidInputError, match=r"empty|not UTF-8|not readable as Parquet") as caught:
        read_prompts(format, path)
    assert str(path) in str(caught.value)


def test_files_and_options_that_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("Prompt,Category\n")
    (tmp_path / "y.csv").write_text("text\na dog\n")
    (tmp_path / "x.json").write_text('{"prompt_en": "a dog"}')
    for format, name, says in (("csv", "x.csv", "no prompts"), ("csv", "y.csv", "no column prompt"),
                               ("partiprompts", "x.csv", "kind"), ("vbench", "x.json", "JSON list")):  # fmt: skip
        with pytest.raises(InvalidInputError, match=says):
            read_prompts(format, tmp_path / name)
    with pytest.raises(NotFoundError):
        read_prompts("txt", tmp_path / "gone.txt")
    for options in ({"format": "parti"}, {"format": "geneval", "column": "tag"}, {"format": "csv", "task": "t3i"}):
        with pytest.raises(ConfigError):
            read_prompts(path=tmp_path / "y.csv", **options)
