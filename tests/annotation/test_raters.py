"""Admission, rotation of known questions, self-consistency, further votes, adjudication, and the report of it all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from annotation import campaign, consensus, extra_votes, pairing
from annotation.admission import AdmissionRules, Qualification, event_row, happened, resume, standing
from annotation.backend import GoldItem, Pulled, ShownVote, Task
from annotation.election import Choice, read_election
from annotation.gold import RETIRED_AT, rotated
from annotation.quality import QualityRules, RaterQuality, with_repeats
from annotation.raters import rater_report
from annotation.stopping import StoppingRules
from annotation.voter.session import Session
from pipelines.report.raters import write_page
from tests.annotation.world import START, candidates
from warehouse import Warehouse
from warehouse.errors import ConfigError, ConflictError, InvalidInputError, NotFoundError


def _known(warehouse: Warehouse, prompts: int = 12) -> None:
    """A known answer for every pair of `prompts` prompts."""
    candidates(warehouse, prompts=prompts, each=2)
    pairing.run(pairing.PairingConfig(pairs_per_prompt=0), warehouse)
    rows = warehouse.rows("SELECT pair_id FROM pairs ORDER BY pair_id")
    known = [{"pair_id": row["pair_id"], "dimension": "overall", "label": "ab"[index % 2],
              "explanation": f"because {index}", "source": "t"} for index, row in enumerate(rows)]
    warehouse.merge("gold_items", known)


def _sit(warehouse: Warehouse, rater: str, right: int, rules: AdmissionRules | None = None) -> Qualification:
    """Takes a qualification, giving the right answer to the first `right` questions and then the wrong one."""
    test = Qualification(warehouse, "voter", rater, "t2i", "overall", rules or AdmissionRules())
    labels = {row["pair_id"]: row["label"] for row in warehouse.rows("SELECT pair_id, label FROM gold_items")}
    number = 0
    while (asked := test.question()) is not None:
        wanted = "left" if labels[asked.pair_id] == asked.left_side else "right"
        marked = test.answer(wanted if number < right else {"left": "right", "right": "left"}[wanted])
        assert marked.right == (number < right) and marked.expected == wanted
        assert marked.explanation.startswith("because")
        number += 1
    return test


def _stands(warehouse: Warehouse, test: Qualification, task: str = "t2i", *dimensions: str) -> str:
    return standing(happened(warehouse)[test.annotator_id], task, dimensions or ("overall",))


def test_eight_of_ten_admit_and_three_wrong_ones_refuse(warehouse: Warehouse) -> None:
    _known(warehouse)
    good, bad = _sit(warehouse, "good", 8), _sit(warehouse, "bad", 7)
    assert (good.result, good.score) == ("admitted", (8, 8)) and (bad.result, bad.score) == ("refused", (7, 10))
    assert _stands(warehouse, good) == "admitted" and _stands(warehouse, bad) == "refused"
    assert _stands(warehouse, good, "t2v") == "" == _stands(warehouse, good, "t2i", "overall", "visual_quality")
    with pytest.raises(ConflictError, match="over"):
        good.answer("left")


def test_a_test_goes_on_and_a_second_attempt_has_other_questions(warehouse: Warehouse) -> None:
    _known(warehouse)
    rules = AdmissionRules(questions=4, need=3)
    first = Qualification(warehouse, "voter", "me", "t2i", "overall", rules)
    asked = first.question()
    assert asked is not None
    first.answer("tie")
    again = Qualification(warehouse, "voter", "me", "t2i", "overall", rules)
    assert again.score == (0, 1) and again.question() == first.question() != asked
    assert _sit(warehouse, "me", 0, rules).result == "refused"
    second = Qualification(warehouse, "voter", "me", "t2i", "overall", rules)
    assert (second.attempt, second.result) == (2, "") and second.question() not in (asked, None)
    assert _sit(warehouse, "me", 0, rules).result == "refused"
    assert Qualification(warehouse, "voter", "me", "t2i", "overall", rules).question() is None
    met = warehouse.rows("SELECT detail_json FROM annotator_events WHERE kind = 'qualification_answer'")
    assert len(met) == len({row["detail_json"].split('"pair_id"')[1] for row in met}) == 4


def test_what_cannot_be_a_test_is_refused(warehouse: Warehouse) -> None:
    _known(warehouse, prompts=3)
    with pytest.raises(ConfigError, match="3 questions"):
        Qualification(warehouse, "voter", "me", "t2i", "overall", AdmissionRules())
    with pytest.raises(ValueError, match="cannot be reached"):
        AdmissionRules(questions=3, need=4)
    test = Qualification(warehouse, "voter", "me", "t2i", "overall", AdmissionRules(questions=3, need=2))
    with pytest.raises(InvalidInputError):
        test.answer("a")


def test_a_pause_is_for_everything_until_resumed(warehouse: Warehouse) -> None:
    _known(warehouse)
    for test, before in ((_sit(warehouse, "me", 10), "admitted"), (_sit(warehouse, "you", 2), "refused")):
        warehouse.merge("annotator_events", [event_row(test.annotator_id, "paused", {"why": "fast"}, None, None)])
        assert _stands(warehouse, test) == "paused"
        resume(warehouse, test.annotator_id, "talked to them")
        assert _stands(warehouse, test) == before, "lifting a pause admits nobody"


def test_rotation_takes_the_least_exposed_and_retires() -> None:
    items = [GoldItem(f"p{index}", "overall", "a", "") for index in range(6)]
    seen = {"p0": RETIRED_AT, "p1": 5, "p2": 1}
    order = [item.pair_id for item in rotated(items, seen, 0)]
    assert set(order[:3]) == {"p3", "p4", "p5"} and order[3:] == ["p2", "p1"]
    assert [item.pair_id for item in rotated(items[::-1], seen, 0)] == order
    assert [item.pair_id for item in rotated(items, seen, 0, {"p0": 2, "p1": 3})][:2] == ["p1", "p0"]


def test_repeats_that_differ_flag_a_rater() -> None:
    """Upper Wilson limits (95 %) of 0 of 9 and of 2 of 3 are 0.30 and 0.94."""
    nobody = RaterQuality(4, 0, None, None, None, None, ())
    found = with_repeats({"r": nobody, "s": nobody, "t": nobody}, {"r": (0.0, 9), "s": (2.0, 3)}, QualityRules())
    assert (found["r"].repeats, found["r"].self_consistency, found["r"].flags) == (9, 0.0, ("unsteady",))
    assert (found["s"].self_consistency, found["s"].flags) == (0.6667, ()) and found["t"].self_consistency is None


def test_self_consistency_counts_a_tie_half(warehouse: Warehouse) -> None:
    tasks, votes = [], []
    asked = [("1", "a", "a"), ("2", "a", "tie"), ("3", "a", "b"), ("4", "tie", "both_bad"), ("5", None, "a")]
    for name, first, again in asked:
        tasks += [{"task_id": name, "campaign_id": "c"}, {"task_id": f"{name}r", "campaign_id": "c", "repeat_of": name}]
        votes += [{"vote_id": task, "task_id": task, "pair_id": f"p{name}", "annotator_id": "r", "dimension": "overall",
                   "label": label, "source": "c", "updated_at": START}
                  for task, label in ((name, first), (f"{name}r", again)) if label]
    warehouse.merge("pairs", [{"pair_id": f"p{name}", "candidate_a": "x", "candidate_b": "y"} for name, *_ in asked])
    warehouse.merge("annotation_tasks", tasks)
    warehouse.merge("votes", votes)
    found = read_election(warehouse, Choice(campaign_ids=("c",)))
    assert found.steady == {"r": (2.5, 4)} and len(found.parts["overall"]) == 4 and found.votes == 9


class Divided:
    """Raters who agree on all pairs but every third; repeats get the answer of the first time."""

    rater_kind = "scripted"

    def __init__(self, warehouse: Warehouse) -> None:
        self.tasks: list[Task] = []
        query = "SELECT pair_id, row_number() OVER (ORDER BY pair_id) AS n FROM pairs"
        self.number = {row["pair_id"]: row["n"] for row in warehouse.rows(query)}

    def publish(self, tasks: Sequence[Task]) -> list[str]:
        self.tasks += tasks
        return [task.task_id for task in tasks]

    def pull(self, since: str) -> Pulled:
        return Pulled(tuple(self._vote(task) for task in self.tasks), str(len(self.tasks)))

    def _vote(self, task: Task) -> ShownVote:
        """Candidate of the smaller medium, or, where raters are divided, the other one every second time."""
        number = self.number[task.pair_id]
        turned = number % 3 == 0 and (task.replica + number // 3) % 2 == 1
        label = "left" if (task.left_media_id < task.right_media_id) != turned else "right"
        return ShownVote(task.task_id, task.pair_id, "overall", f"rater {task.replica}", label, START, START, 4.0)


def _campaign() -> campaign.CampaignConfig:
    return campaign.CampaignConfig(name="c", backend="tests.annotation.test_raters:Divided", votes_per_pair=2,
                                   repeat_share=0.2)


def test_disagreement_gets_more_votes_then_an_expert(warehouse: Warehouse, tmp_path: Path) -> None:
    candidates(warehouse, prompts=15, each=2)
    pairing.run(pairing.PairingConfig(pairs_per_prompt=0), warehouse)
    first = campaign.run(_campaign(), warehouse).outputs
    assert first["tasks"] == 36
    config = extra_votes.ExtraVoteConfig(campaign_id=first["campaign_id"], rules=StoppingRules(max_votes=2))
    last = extra_votes.run(config, warehouse)
    assert (last.counts["extra"], last.counts["adjudication"], last.outputs["settled"]) == (0, 5, 10)
    assert not extra_votes.run(config, warehouse).changed
    third = config.model_copy(update={"rules": StoppingRules(max_votes=3)})
    asked = extra_votes.run(third, warehouse)
    assert (asked.counts["extra"], asked.outputs["settled"], asked.outputs["disputed"]) == (5, 10, 0)
    waiting = extra_votes.run(third, warehouse)
    assert waiting.counts["extra"] == 0 and waiting.outputs["waiting"] == 5
    assert campaign.run(_campaign(), warehouse).outputs["tasks"] == 41
    assert extra_votes.run(third, warehouse).outputs["waiting"] == 0
    expert = Session(warehouse, last.outputs["adjudication_id"], "expert")
    while ahead := expert.upcoming():
        expert.vote(ahead[0].task_id, "left", 2.0)
    ids = (first["campaign_id"], last.outputs["adjudication_id"])
    assert consensus.run(consensus.ConsensusConfig(campaign_ids=ids), warehouse).outputs["n_pairs"] == 15
    found = rater_report(warehouse, "c")
    assert found["agreement"]["overall"]["pairs"] == 15 and found["adjudication"] == {"open": 5}
    steady = [row for row in found["raters"] if row["repeats"]]
    assert sum(row["repeats"] for row in steady) == 6 and all(row["self_consistency"] == 1.0 for row in steady)
    write_page(found, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert found["raters"][0]["rater"] in page and "rater 0" not in page and page.count("<svg") >= 4


def test_a_budget_ends_further_votes(warehouse: Warehouse) -> None:
    candidates(warehouse, prompts=15, each=2)
    pairing.run(pairing.PairingConfig(pairs_per_prompt=0), warehouse)
    first = campaign.run(_campaign(), warehouse).outputs
    rules = StoppingRules(certainty=0.95, max_votes=4, budget_votes=38)
    config = extra_votes.ExtraVoteConfig(campaign_id=first["campaign_id"], rules=rules)
    assert extra_votes.run(config, warehouse).counts["extra"] == 2
    with pytest.raises(NotFoundError):
        extra_votes.run(extra_votes.ExtraVoteConfig(campaign_id="absent"), warehouse)
