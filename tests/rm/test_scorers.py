from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rm.context import Frames
from rm.reward_model import PairItem
from rm.scorers import load_scorer
from tests.rm.servers import judge, rewards, served
from tests.rm.world import CONFIGS
from warehouse.errors import BackendError, ConfigError, InvalidInputError

JUDGE, SERVICE = "rm.scorers.judge:OpenAIJudge", "rm.scorers.service:RewardService"
INSTRUCTIONS = str(CONFIGS / "default.yaml")


def grey(level: int, frames: int = 1) -> Frames:
    return Frames(np.full((frames, 8, 8, 3), level, np.uint8), tuple(0.5 * n for n in range(frames)))


def asked(reference: int, candidate: int, frames: int = 1) -> PairItem:
    return PairItem("a red circle", grey(reference, frames), grey(candidate, frames), "t2v" if frames > 1 else "t2i",
                    "overall")


def test_a_judge_reads_every_spelling_of_the_verdict() -> None:
    with served(judge) as url:
        scorer = load_scorer(JUDGE, {"url": f"{url}/v1/", "model": "vl", "instructions": INSTRUCTIONS})
        found = scorer.score_pairs([asked(100, 110), asked(110, 100), asked(100, 110, frames=6)])
    p = 1 / (1 + math.exp(-20 * 10 / 255))
    assert found == pytest.approx([p, 1 - p, p], abs=1e-4)
    assert scorer.model_id == load_scorer(JUDGE, {"url": "http://elsewhere/v1", "model": "vl",
                                                  "instructions": INSTRUCTIONS}).model_id


def test_a_judge_that_says_something_else_is_an_error() -> None:
    def evasive(path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        tops = [{"token": "Yes", "logprob": -0.1}, {"token": "Maybe", "logprob": -3.0}]
        return 200, {"choices": [{"logprobs": {"content": [{"top_logprobs": tops}]}}]}

    def silent(path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        return 200, {"choices": [{"message": {"content": "Yes"}, "logprobs": None}]}

    for answer, what in ((evasive, "verdict word is not among"), (silent, "no log-probabilities")):
        with served(answer) as url, pytest.raises(BackendError, match=what):
            load_scorer(JUDGE, {"url": url, "model": "vl", "instructions": INSTRUCTIONS}).score_pairs([asked(1, 2)])


def test_the_key_travels_and_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def guarded(path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        seen.append(headers.get("Authorization", ""))
        return judge(path, body, headers) if seen[-1] == "Bearer secret" else (401, {"error": "no key"})

    with served(guarded) as url:
        options = {"url": f"{url}/v1", "model": "vl", "instructions": INSTRUCTIONS, "key_variable": "SOME_KEY"}
        with pytest.raises(ConfigError, match="401"):
            load_scorer(JUDGE, options).score_pairs([asked(1, 2)])
        monkeypatch.setenv("SOME_KEY", "secret")
        load_scorer(JUDGE, options).score_pairs([asked(1, 2)])
    assert len(seen) == 2


def test_rewards_become_odds_and_failures_have_names() -> None:
    with served(rewards) as url:
        scorer = load_scorer(SERVICE, {"url": url, "reward": "hpsv3", "metric": "mu", "temperature": 2.0})
        found = scorer.score_pairs([asked(51, 102), asked(102, 51), asked(80, 80)], batch=2)
        assert found == pytest.approx([1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1)), 0.5], abs=1e-6)
        with pytest.raises(BackendError, match="no picture"):
            scorer.score_pairs([asked(51, 0)])
        with pytest.raises(BackendError, match="no such reward"):
            load_scorer(SERVICE, {"url": url, "reward": "hpsv3", "metric": "sigma"}).score_pairs([asked(1, 2)])
        with pytest.raises(InvalidInputError, match="not clips"):
            scorer.score_pairs([asked(1, 2, frames=3)])


def test_a_busy_server_is_asked_again_and_a_dead_one_is_named() -> None:
    calls: list[int] = []

    def busy(path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        calls.append(1)
        return (429, {}) if len(calls) < 3 else rewards(path, body, headers)

    with served(busy) as url:
        load_scorer(SERVICE, {"url": url, "reward": "hpsv3", "metric": "mu"}).score_pairs([asked(1, 2)])
    assert len(calls) == 3
    with pytest.raises(BackendError, match="no answer after 4 attempts"):
        load_scorer(SERVICE, {"url": url, "reward": "hpsv3", "metric": "mu"}).score_pairs([asked(1, 2)])


def test_wrong_options_are_named() -> None:
    with pytest.raises(ConfigError, match="does not take these options"):
        load_scorer(SERVICE, {"address": "x"})
    with pytest.raises(ConfigError, match="not an HTTP address"):
        load_scorer(SERVICE, {"url": "file:///etc", "reward": "a", "metric": "b"}).score_pairs([asked(1, 2)])
