"""The short form of benchmarks/warehouse_kills.py."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.warehouse_kills import kill_builds


def test_builds_killed_at_random_leave_whole_versions_only(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    outcome = kill_builds(str(tmp_path / "killed"), str(tmp_path / "clean"), kills=4, pairs=20, seed=seed)
    assert outcome.kills == 4 and outcome.versions > 0
    assert outcome.broken == outcome.unlike == outcome.errors == []
