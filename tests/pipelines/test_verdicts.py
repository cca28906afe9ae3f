"""What the page says of a gain follows from its interval, and it says where the eye would not see it."""

from __future__ import annotations

import pytest

from pipelines.report.verdicts import sentences
from pipelines.summary import skeleton

GAIN = {"gold_before": 0.70, "gold_after": 0.76, "gain": 0.06, "gain_ci_low": 0.05, "gain_ci_high": 0.07,
        "n_prompts": 9, "proxy_before": 0.4, "proxy_after": 0.6, "gold_sd": 0.15, "strict_before": 0.60,
        "strict_after": 0.62}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ["lies above zero", "+0.40 standard deviations", "less than the eye sees at once", "+2 points"]),
        ({"gold_sd": 0.1}, ["+0.60 standard deviations of gold between samples;", "+2 points"]),
        ({"strict_after": 0.75}, ["between samples;", "+15 points"]),
        ({"gain": -0.06, "gain_ci_low": -0.07, "gain_ci_high": -0.05}, ["the reward was hacked"]),
        ({"gain_ci_low": -0.01}, ["cannot be told"]),
    ],
)
def test_a_gain_in_words(changed: dict[str, float], said: list[str]) -> None:
    summary = skeleton()
    summary["alignment"]["image"].update(GAIN | changed)
    (sentence,) = sentences(summary)
    assert all(part in sentence for part in said), sentence
