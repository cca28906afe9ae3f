"""One person's admission to a campaign: its dimensions one after the other, as a page can show them.

Each dimension is a qualification of its own (admission.py); the person is let in once all are passed. What a page is
told holds no candidate, no generator and no answer that was not given yet.

Left out on purpose: HTTP (gateway/exam_page.py) and whom to ask (gateway/door.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from annotation.admission import AdmissionRules, Qualification, Question
from annotation.guideline import criteria_of
from warehouse import Warehouse
from warehouse.errors import ConfigError, ConflictError
from warehouse.records import Row

_SHOWN = """
SELECT p.text AS prompt, p.media_kind AS kind, p.condition_media_id AS condition, a.media_id AS media_a,
  b.media_id AS media_b
FROM pairs r JOIN prompts p USING (prompt_id) JOIN candidates a ON a.candidate_id = r.candidate_a
JOIN candidates b ON b.candidate_id = r.candidate_b WHERE r.pair_id = ?
"""
_KNOWN = """
SELECT count(*) AS n FROM gold_items g JOIN pairs r USING (pair_id)
JOIN candidates a ON a.candidate_id = r.candidate_a JOIN candidates b ON b.candidate_id = r.candidate_b
WHERE r.task = ? AND g.dimension = ? AND a.media_id IS NOT NULL AND b.media_id IS NOT NULL
"""
Link = Callable[[str], str]


def rules_of(campaign: Mapping[str, Any]) -> AdmissionRules | None:
    """How a campaign (row of campaigns) admits its raters; None where everybody may work on it."""
    asked = json.loads(campaign["config_json"]).get("backend_options", {}).get("admission")
    return None if asked is None else AdmissionRules.model_validate(asked)


def check_questions(warehouse: Warehouse, task: str, dimensions: tuple[str, ...], rules: AdmissionRules) -> None:
    """Raises ConfigError where a dimension has fewer known questions than one attempt asks."""
    for dimension in dimensions:
        known = warehouse.rows(_KNOWN, [task, dimension])[0]["n"]
        if known < rules.questions:
            raise ConfigError(
                f"{known} questions with known answers for {task} {dimension}, {rules.questions} are asked for "
                "admission",
                hint=f"rewarddance annotate questions known.csv --draft {2 * rules.questions} --task {task} "
                     f"--dimension {dimension} begins a table of them; complete it, and without --draft it is added",
            )


class Exam:
    """A person before the qualification of a campaign; `kind` and `name` are those of their votes."""

    def __init__(self, warehouse: Warehouse, campaign: Row, kind: str, name: str) -> None:
        self.warehouse, self.campaign = warehouse, campaign
        self.rules = rules_of(campaign) or AdmissionRules()
        dimensions = json.loads(campaign["dimensions_json"])
        self.tests = {dimension: Qualification(warehouse, kind, name, campaign["task"], dimension, self.rules)
                      for dimension in dimensions}

    @property
    def result(self) -> str:
        """`admitted` to all dimensions, `refused` by one, or "" while questions are open."""
        results = {test.result for test in self.tests.values()}
        return "refused" if "refused" in results else "" if "" in results else "admitted"

    def state(self, link: Link) -> dict[str, Any]:
        """What the page shows: the open dimension with its question, how far, and the results; media by `link`."""
        dimension = next((name for name, test in self.tests.items() if not test.result), "")
        document: dict[str, Any] = {
            "campaign": self.campaign["name"],
            "result": self.result,
            "questions": self.rules.questions,
            "need": self.rules.need,
            "dimensions": [self._standing(name) for name in self.tests],
            "question": None,
        }
        if document["result"] or not dimension:
            return document
        test = self.tests[dimension]
        asked = test.question()
        if asked is not None:
            about = {"dimension": dimension, "number": test.score[1], "attempt": test.attempt}
            document["question"] = self._shown(asked, link) | about
        return document

    def _standing(self, dimension: str) -> dict[str, Any]:
        title, criteria = criteria_of(self.warehouse, self.campaign, dimension)
        test = self.tests[dimension]
        right, answers = test.score
        return {"dimension": dimension, "title": title, "criteria": criteria, "result": test.result, "right": right,
                "answers": answers}

    def _shown(self, asked: Question, link: Link) -> dict[str, Any]:
        [row] = self.warehouse.rows(_SHOWN, [asked.pair_id])
        left, right = ("media_a", "media_b") if asked.left_side == "a" else ("media_b", "media_a")
        return {"prompt": row["prompt"], "kind": row["kind"], "left": link(row[left]), "right": link(row[right]),
                "condition": link(row["condition"]) if row["condition"] else None}

    def answer(self, dimension: str, number: int, label: str) -> dict[str, Any]:
        """Mark the answer to question `number` (answers before it) of a dimension; what was expected, and why.

        Raises ConflictError where another question is open: the page was left behind, or a key was pressed twice.
        """
        test = self.tests.get(dimension)
        if test is None or test.question() is None or test.score[1] != number:
            raise ConflictError("another question is open", hint="load the page again")
        attempt = test.attempt
        marked = test.answer(label)
        right, answers = test.score
        return {"right": marked.right, "expected": marked.expected, "explanation": marked.explanation,
                "result": test.result, "score": [right, answers],
                "again": test.result == "refused" and attempt < self.rules.attempts}
