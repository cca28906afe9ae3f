"""Importers on real rows: every count is derived here from the file by other means, or is the published one."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from warehouse import Warehouse, open_warehouse
from warehouse.importers import store
from warehouse.importers.answer import import_answer
from warehouse.importers.run import ImportConfig, run

DATA = Path(__file__).resolve().parents[1] / "data"
KEYS = {
    "read", "duplicates", "prompts", "candidates", "pairs", "ties", "votes", "rejects", "rejects_by_reason",
    "already_there", "media_absent",
}  # fmt: skip


def imported(warehouse: Warehouse, format: str, path: Path, **options: Any) -> dict[str, Any]:
    """The answer of one import; every key is there, and every row read is accounted for."""
    answer = import_answer(run(ImportConfig(format=format, path=path, **options), warehouse))
    assert set(answer) == KEYS | {"changed"}
    return answer


def labels(warehouse: Warehouse, where: str = "true") -> Counter[tuple[str, str]]:
    rows = warehouse.rows(f"SELECT dimension, label FROM votes WHERE {where}")
    return Counter((row["dimension"], row["label"]) for row in rows)


def test_videoalign_twelve_rows_are_three_pairs_and_nine_votes(warehouse: Warehouse) -> None:
    answer = imported(warehouse, "videoalign", DATA / "videoalign-pairs", licence="MIT")
    assert answer | {"changed": None} == {
        "read": 12, "duplicates": 9, "prompts": 3, "candidates": 6, "pairs": 3, "ties": 4, "votes": 9, "rejects": 0,
        "rejects_by_reason": {}, "already_there": 0, "media_absent": 0, "changed": None,
    }  # fmt: skip
    media = warehouse.rows("SELECT kind, licence_id FROM media")
    assert len(media) == 6 and {(row["kind"], row["licence_id"]) for row in media} == {("video", "mit")}
    [rater] = warehouse.rows("SELECT attributes_json FROM annotators")
    assert json.loads(rater["attributes_json"]) == {"rater": "source:videoalign"}


def test_videoalign_labels_follow_the_files_and_not_the_sides(warehouse: Warehouse) -> None:
    """VQ and MQ of the first row say B, its TA says A, whichever of both the pair calls a."""
    imported(warehouse, "videoalign", DATA / "videoalign-pairs")
    rows = warehouse.rows(
        "SELECT v.dimension, CASE v.label WHEN 'a' THEN a.source_item WHEN 'b' THEN b.source_item ELSE v.label END AS w"
        " FROM votes v JOIN pairs p USING (pair_id) JOIN candidates a ON a.candidate_id = p.candidate_a"
        " JOIN candidates b ON b.candidate_id = p.candidate_b"
        " WHERE a.source_item LIKE '%example_1%' ORDER BY 1"
    )
    assert [(row["dimension"], row["w"]) for row in rows] == [
        ("motion_quality", "videos/example_1_B.mp4"),
        ("text_alignment", "videos/example_1_A.mp4"),
        ("visual_quality", "videos/example_1_B.mp4"),
    ]


def test_a_second_import_adds_nothing_even_under_another_licence(warehouse: Warehouse) -> None:
    first = imported(warehouse, "videoalign", DATA / "videoalign-pairs")
    before = warehouse.digest("SELECT * FROM votes"), warehouse.digest("SELECT * FROM candidates")
    for options in ({}, {"licence": "MIT"}):
        again = imported(warehouse, "videoalign", DATA / "videoalign-pairs", **options)
        assert {key: again[key] for key in ("prompts", "candidates", "pairs", "ties", "votes")} == dict.fromkeys(
            ("prompts", "candidates", "pairs", "ties", "votes"), 0
        )
        assert (again["read"], again["duplicates"], again["already_there"]) == (12, 9, 3)
    assert first["changed"] and before == (
        warehouse.digest("SELECT * FROM votes"),
        warehouse.digest("SELECT * FROM candidates"),
    )


def test_genai_bench_human_votes_and_judge_rationales(warehouse: Warehouse) -> None:
    path = DATA / "genai-bench-image-votes" / "gpt4o.json"
    truth = json.loads(path.read_text(encoding="utf-8"))
    answer = imported(warehouse, "genai-bench-judge", path)
    assert (answer["read"], answer["pairs"], answer["votes"], answer["media_absent"]) == (1735, 1735, 1735, 3470)
    assert answer["ties"] == sum(row["human_vote"] == "tievote" for row in truth) == 156
    assert labels(warehouse)["overall", "both_bad"] == sum(row["human_vote"] == "bothbad_vote" for row in truth)
    left = warehouse.rows("SELECT count(*) AS n FROM votes WHERE label = left_side")[0]["n"]
    assert left == sum(row["human_vote"] == "leftvote" for row in truth)
    # 11 answers of the judge could not be parsed: the human votes stay, the judge's text does not become a rationale.
    rationales = warehouse.rows("SELECT verdict, author_kind, author_id, text, structured_json FROM rationales")
    assert len(rationales) == 1735 - 11
    for row in rationales:
        model_a = json.loads(row["structured_json"])["model_a"]
        said = {"[[A>B]]": model_a, "[[B>A]]": {"a": "b", "b": "a"}[model_a], "[[A=B=Good]]": "tie"}
        named = {label for mark, label in {**said, "[[A=B=Bad]]": "both_bad"}.items() if mark in row["text"]}
        assert row["verdict"] in named and (row["author_kind"], row["author_id"]) == ("model", "gpt4o")
    # The second judge's file repeats the same human votes.
    again = imported(warehouse, "genai-bench-judge", path.parent)
    assert (again["read"], again["votes"], again["pairs"], again["already_there"]) == (3470, 0, 0, 3470)


def test_likert_pairs_come_from_one_rater_and_one_prompt(warehouse: Warehouse) -> None:
    path = DATA / "tifa160-likert" / "tifa160-likert-anns.csv"
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            groups[row["worker_id"], row["item_id"]].append(int(row["answer"]))
    compared = [pair for scores in groups.values() for pair in combinations(scores, 2)]
    answer = imported(warehouse, "likert-csv", path)
    assert (answer["votes"], answer["ties"]) == (len(compared), sum(x == y for x, y in compared))
    assert (answer["read"], answer["pairs"], answer["media_absent"]) == (3995, 160 * 10, 800)
    raters = warehouse.rows("SELECT attributes_json FROM annotators")
    assert {json.loads(row["attributes_json"])["rater"] for row in raters} == {rater for rater, _ in groups}


def test_imagereward_rankings_give_the_published_number_of_pairs(warehouse: Warehouse) -> None:
    """7.23k pairs over 466 prompts is the dataset card's number for the test split; rank 1 is best."""
    path = DATA / "imagereward-ranking" / "test.json"
    answer = imported(warehouse, "imagereward-ranking", path)
    assert (answer["read"], answer["pairs"], answer["votes"], answer["ties"]) == (466, 7230, 7230, 831)
    truth = {
        name: rank
        for row in json.loads(path.read_text(encoding="utf-8"))
        for name, rank in zip(row["generations"], row["ranking"], strict=True)
    }
    for row in warehouse.rows(
        "SELECT v.label, a.source_item AS a, b.source_item AS b FROM votes v JOIN pairs p USING (pair_id)"
        " JOIN candidates a ON a.candidate_id = p.candidate_a JOIN candidates b ON b.candidate_id = p.candidate_b"
    ):
        a, b = truth[row["a"]], truth[row["b"]]
        assert row["label"] == ("tie" if a == b else "a" if a < b else "b")


def test_a_killed_import_ends_like_an_undisturbed_one(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies inside the second chunk; the same import again gives the same rows."""
    path, flush, calls = DATA / "videoalign-pairs", store.Store._flush, list[int]()

    def dying(self: store.Store) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise ConnectionError("killed")
        flush(self)

    monkeypatch.setattr(store, "CHUNK", 1)
    monkeypatch.setattr(store.Store, "_flush", dying)
    with pytest.raises(ConnectionError):
        imported(warehouse, "videoalign", path)
    assert warehouse.rows("SELECT count(*) AS n FROM votes")[0]["n"] == 3
    answer = imported(warehouse, "videoalign", path)
    assert (answer["votes"], answer["already_there"]) == (6, 1)
    with open_warehouse(str(tmp_path / "undisturbed")) as other:
        imported(other, "videoalign", path)
        for table in ("prompts", "media", "candidates", "pairs", "annotators", "votes"):
            assert warehouse.digest(f"SELECT * FROM {table}") == other.digest(f"SELECT * FROM {table}"), table
