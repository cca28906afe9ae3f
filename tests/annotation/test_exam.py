"""Admission as a page meets it: questions by dimension, what is told after an answer, and whom the door lets in."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from annotation.admission import AdmissionRules, event_row, resume
from annotation.exam import Exam, check_questions
from annotation.gateway.door import Door, person
from annotation.questions import QuestionConfig, draft
from annotation.questions import run as add_questions
from annotation.voter.qualify import Qualify
from tests.annotation.exams import campaign, known, pictures
from warehouse import Warehouse
from warehouse.errors import ConfigError, ConflictError, InvalidInputError, NotFoundError

RULES = {"questions": 3, "need": 2, "attempts": 2}


def _sit(exam: Exam, right: bool) -> dict[str, Any]:
    """Answers the open question, rightly or not; what was told."""
    dimension = next(name for name, test in exam.tests.items() if not test.result)
    test = exam.tests[dimension]
    asked = test.question()
    assert asked is not None
    [row] = exam.warehouse.rows("SELECT label FROM gold_items WHERE pair_id = ? AND dimension = ?",
                                [asked.pair_id, dimension])
    wanted = "left" if row["label"] == asked.left_side else "right"
    given = wanted if right else {"left": "right", "right": "left"}[wanted]
    told = exam.answer(dimension, test.score[1], given)
    assert (told["right"], told["expected"]) == (right, wanted) and told["explanation"].startswith("The other one")
    return told


def test_both_dimensions_open_the_door_and_a_pause_closes_it(warehouse: Warehouse, tmp_path: Path) -> None:
    pictures(warehouse, 8)
    known(warehouse, tmp_path)
    row, door = campaign(warehouse, RULES), Door()
    door.refresh(warehouse)
    assert door.obstacle("ann@x.org", row) == "qualify"
    assert door.obstacle("ann@x.org", row | {"config_json": "{}"}) == ""
    exam = Exam(warehouse, row, "person", "ann@x.org")
    while exam.result == "":
        _sit(exam, True)
        door.refresh(warehouse)
        assert door.obstacle("ann@x.org", row) == ("" if exam.result else "qualify")
    assert exam.result == "admitted" and door.obstacle("bob@x.org", row) == "qualify"
    warehouse.merge("annotator_events", [event_row(person("ann@x.org"), "paused", {"why": "fast"}, None, None)])
    door.refresh(warehouse)
    assert door.obstacle("ann@x.org", row) == "paused" == door.obstacle("ann@x.org", row | {"config_json": "{}"})
    warehouse.merge("annotator_events", [event_row(person("eve@x.org"), "paused", {"why": "fast"}, None, None)])
    for rater in ("ann@x.org", "eve@x.org"):
        resume(warehouse, person(rater), "talked")
    door.refresh(warehouse)
    assert door.obstacle("ann@x.org", row) == ""
    assert door.obstacle("eve@x.org", row) == "qualify", "a pause that ends is no admission"


def test_one_more_try_with_other_questions_then_the_door_stays_shut(warehouse: Warehouse, tmp_path: Path) -> None:
    pictures(warehouse, 8)
    known(warehouse, tmp_path)
    row, door = campaign(warehouse, RULES), Door()
    met: list[str] = []
    for again in (True, False):
        exam = Exam(warehouse, row, "person", "bob@x.org")
        told: dict[str, Any] = {"result": ""}
        while not told["result"]:
            asked = exam.tests["overall"].question()
            assert asked is not None
            met.append(asked.pair_id)
            told = _sit(exam, False)
        assert (told["result"], told["again"]) == ("refused", again)
        door.refresh(warehouse)
        assert door.obstacle("bob@x.org", row) == "refused"
    assert len(set(met)) == len(met) and Exam(warehouse, row, "person", "bob@x.org").result == "refused"


def test_a_key_pressed_twice_answers_one_question(warehouse: Warehouse, tmp_path: Path) -> None:
    pictures(warehouse, 4)
    known(warehouse, tmp_path)
    exam = Exam(warehouse, campaign(warehouse, RULES), "person", "ann@x.org")
    exam.answer("overall", 0, "tie")
    for dimension, number in (("overall", 0), ("visual_quality", 4), ("smell", 0)):
        with pytest.raises(ConflictError, match="another question"):
            exam.answer(dimension, number, "tie")
    assert exam.tests["overall"].score == (0, 1)


def test_tables_of_questions(warehouse: Warehouse, tmp_path: Path) -> None:
    pictures(warehouse, 3)
    known(warehouse, tmp_path, ("overall",))
    pairs = [row["pair_id"] for row in warehouse.rows("SELECT pair_id FROM pairs ORDER BY pair_id")]
    table = tmp_path / "more.csv"
    table.write_text("pair_id,label,explanation,dimension\n"
                     f"{pairs[0]},tie,They are alike.,text_alignment\nabsent,a,x,overall\n{pairs[1]},left,x,overall\n"
                     f"{pairs[1]},a,,overall\n{pairs[1]},a,x,smell\n")
    receipt = add_questions(QuestionConfig(file=table, reject_limit=1.0), warehouse)
    reasons = ("unknown_pair", "unknown_label", "no_explanation", "unknown_dimension")
    assert receipt.counts["questions"] == 1 and receipt.rejected == dict.fromkeys(reasons, 1)
    with pytest.raises(ConfigError, match="3 questions with known answers for t2i overall, 10"):
        check_questions(warehouse, "t2i", ("overall",), AdmissionRules())
    table.write_text("pair,label\nx,a\n")
    with pytest.raises(InvalidInputError, match="columns pair, label"):
        add_questions(QuestionConfig(file=table), warehouse)


def test_a_draft_of_questions_is_completed_and_added(warehouse: Warehouse, tmp_path: Path) -> None:
    pictures(warehouse, 4)
    agreed, split, alone, fresh = (row["pair_id"] for row in warehouse.rows("SELECT pair_id FROM pairs"))
    said = {(agreed, "ann"): "b", (agreed, "bob"): "b", (split, "ann"): "a", (split, "bob"): "b", (alone, "ann"): "a"}
    warehouse.merge("votes", [
        {"vote_id": f"{pair} {who}", "pair_id": pair, "annotator_id": who, "dimension": "overall", "label": label}
        for (pair, who), label in said.items()])
    table = tmp_path / "known.csv"
    assert draft(warehouse, table, "t2i", "overall", 9) == 3
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["pair_id"], row["label"]) for row in rows] == [(agreed, "b"), (alone, ""), (fresh, "")]
    assert all(Path(row["media_a"]).is_file() and row["prompt"] for row in rows)
    unfinished = add_questions(QuestionConfig(file=table, reject_limit=1.0), warehouse)
    assert unfinished.rejected == {"no_explanation": 1, "unknown_label": 2}
    with pytest.raises(ConflictError, match="exists already"):
        draft(warehouse, table, "t2i", "overall", 9)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"label": "a", "explanation": "It is sharp."} for row in rows)
    assert add_questions(QuestionConfig(file=table), warehouse).counts["questions"] == 3
    with pytest.raises(NotFoundError, match="no pair of t2i"):
        draft(warehouse, tmp_path / "more.csv", "t2i", "overall", 9)


def test_the_page_tells_neither_generator_nor_answer(warehouse: Warehouse, tmp_path: Path) -> None:
    pictures(warehouse, 4)
    known(warehouse, tmp_path)
    page = Qualify(warehouse, campaign(warehouse, RULES), "me", lambda: None)

    async def ask(method: str, path: str, key: str = page.key, **more: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(page.app()), base_url="http://127.0.0.1") as http:
            return await http.request(method, f"/{key}/{path}", **more)

    def call(*arguments: Any, **more: Any) -> httpx.Response:
        return asyncio.run(ask(*arguments, **more))

    state = call("GET", "state").json()
    told = call("GET", "").text + json.dumps(state)
    hidden = [row[name] for row in warehouse.rows("SELECT candidate_id, media_id FROM candidates") for name in row]
    assert not [word for word in (*hidden, "secret-model-x", "smear") if word in told]
    shown = [call("GET", state["question"][side]) for side in ("left", "right")]
    assert [said.headers["content-type"] for said in shown] == ["image/png"] * 2
    assert shown[0].content != shown[1].content
    assert call("GET", "state", key="guess").status_code == 404
    assert call("POST", "answer", json={"dimension": "overall", "number": 0, "label": "left"}).status_code == 200
    for status, body in ((400, b"{"), (400, b'{"dimension": "overall", "number": true, "label": "left"}'),
                         (409, b'{"dimension": "overall", "number": 0, "label": "left"}'),
                         (400, b'{"dimension": "overall", "number": 1, "label": "a"}')):
        assert call("POST", "answer", content=body).status_code == status, body
