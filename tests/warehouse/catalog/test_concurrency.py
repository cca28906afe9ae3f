"""Writers and readers in processes of their own, killed at random: the short form of the benchmark."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.warehouse_concurrency import Plan, disturb


def test_random_kills_lose_double_and_halve_nothing(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    logs = tmp_path / "logs"
    logs.mkdir()
    plan = Plan(writers=3, readers=1, seed=seed, kills=4)
    outcome = disturb(str(tmp_path / "warehouse"), logs, plan)
    assert outcome.acknowledged >= 4 * plan.commits and outcome.kills > 0
    assert (outcome.lost, outcome.partial, outcome.doubled) == (0, 0, 0)
    assert outcome.errors == [] and outcome.wrong_readings == 0
