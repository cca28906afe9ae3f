"""What the page says of the people behind the votes."""

from __future__ import annotations

from pathlib import Path

from pipelines.report.people import agreement
from warehouse import open_warehouse
from warehouse.records import ADVERSARIAL


def test_pairs_that_nobody_voted_on_agree_about_nothing(tmp_path: Path) -> None:
    voted = {"consensus_id": "b", "method": "majority", "params_json": "{}", "raters_json": "{}", "n_votes": 3,
             "agreement_json": '{"overall": {"alpha": 0.5, "ci": [0.4, 0.6]}}', "n_pairs": 1}
    with open_warehouse(str(tmp_path)) as warehouse:
        warehouse.merge("consensus_runs", [{"consensus_id": "a", "method": ADVERSARIAL}, voted])
        (found,) = agreement(warehouse, ())
    assert (found.method, found.alpha) == ("majority", [("overall", "0.500", "0.400 to 0.600")])
