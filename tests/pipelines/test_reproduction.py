"""Tables of the paper: what is measured, what a budget leaves, and that the page says plainly where a trend fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.reproduction.measure import SPLITS, Measured, Plan, data_config
from pipelines.reproduction.page import document, html, markdown
from pipelines.reproduction.tables import committed_sizes, find_table
from rm.statistics import bootstrap_seeds
from warehouse.errors import ConfigError, InvalidInputError

PLAN = Plan("demo", 1, Path("."), 1.0)


def measured(arm: str, accuracy: float, seeds: int = 3, pairs: int = 400) -> Measured:
    rng = np.random.default_rng(len(arm))
    right = {split: (rng.random((seeds, pairs)) < accuracy).astype(float) for split in SPLITS}
    prompts = {split: [str(n // 4) for n in range(pairs)] for split in SPLITS}
    return Measured(arm, tuple(range(seeds)), right, right, prompts)


def test_intervals_resample_seeds_and_prompts() -> None:
    rng = np.random.default_rng(0)
    shared = rng.random((1, 300)) < 0.7
    groups = [n // 3 for n in range(300)]
    same, apart = np.repeat(shared, 3, 0), np.stack([rng.random(300) < p for p in (0.5, 0.7, 0.9)])
    narrow, wide = bootstrap_seeds(same, groups), bootstrap_seeds(apart, groups)
    assert narrow.n == 300 and narrow.value == pytest.approx(float(shared.mean()))
    assert wide.ci_high - wide.ci_low > 1.5 * (narrow.ci_high - narrow.ci_low)
    one = bootstrap_seeds(shared, groups)
    assert (one.ci_low, one.ci_high) == pytest.approx((narrow.ci_low, narrow.ci_high), abs=0.02)
    with pytest.raises(InvalidInputError, match="300 values, 2 groups"):
        bootstrap_seeds(same, [1, 2])
    assert bootstrap_seeds(np.zeros((0, 0)), []).n == 0


def test_the_page_says_where_the_order_fails() -> None:
    table = find_table(9)
    names = [arm.name for arm in table.arms]
    for accuracies, verdict in (((0.6, 0.8), "holds"), ((0.8, 0.6), "reversed"), ((0.7, 0.7), "not shown")):
        arms = [measured(name, value) for name, value in zip(names, accuracies, strict=True)]
        found = document(table, arms, PLAN)
        assert found["claims"][0]["verdict"] == verdict and found["missing"] == []
        said = {"holds": "holds here", "reversed": "REVERSED here", "not shown": "NOT shown here"}[verdict]
        for text in (markdown(found), html(found)):
            assert said in text and "83.6" in text and "demo@1" in text and "<script" not in text


def test_what_the_budget_left_out_is_named() -> None:
    table = find_table(7)
    found = document(table, [measured(table.arms[0].name, 0.7, seeds=1)], PLAN)
    assert found["claims"] == [] and len(found["missing"]) == 2
    assert "Not trained within the budget: pointwise generative, pairwise" in markdown(found)


def test_leads_use_the_seeds_that_both_have() -> None:
    better, worse = measured("a", 0.9, seeds=1), measured("bb", 0.6, seeds=3)
    lead = better.lead_over(worse, "ID")
    assert lead.value == pytest.approx(better.right["ID"][0].mean() - worse.right["ID"][0].mean())


def test_tables_take_the_sizes_that_are_committed() -> None:
    scaling = find_table(2)
    assert [arm.name for arm in scaling.arms] == list(committed_sizes())
    assert len(scaling.claims) == len(scaling.arms) - 1 and len(scaling.published) == 5
    with pytest.raises(ConfigError, match="no table 3"):
        find_table(3)


def test_the_data_are_the_image_half_of_the_demo() -> None:
    config = data_config()
    assert [entry.name for entry in config.stages][-1] == "dataset" and len(config.stages) == 7
    consensus = next(entry for entry in config.stages if entry.name == "consensus")
    assert consensus.options["campaign_ids"] == ["${image_votes.campaign_id}"]
