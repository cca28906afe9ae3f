"""Leakage, agreement and win rates against what independent code finds in the same rows."""

from __future__ import annotations

import io
import json
import re
from itertools import combinations

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from warehouse import Warehouse
from warehouse.datasets.agreement import agreement, alpha_of_patterns
from warehouse.datasets.leakage import difference_hash, leakage, near_pairs
from warehouse.datasets.winrates import win_rates
from warehouse.errors import InvalidInputError
from warehouse.media.encode import encode_png


def _near(first: str, second: str) -> bool:
    """Sets of words that differ in at most one word, by hand."""
    x, y = (set(re.findall(r"\w+", text)) for text in (first, second))
    return len(x - y) <= 1 and len(y - x) <= 1


def test_leakage_is_what_every_pair_of_prompts_says(calm: Warehouse) -> None:
    found = leakage(calm, "calm@2", look_alikes=True)
    rows = calm.rows("SELECT split, canonical, media_a, media_b FROM (" + _SIDES + ") WHERE version = 2")
    splits = {(row["canonical"], row["split"]) for row in rows}
    expected = {
        tuple(sorted((x, y)))
        for (x, split_x), (y, split_y) in combinations(sorted(splits), 2)
        if split_x != split_y and x != y and _near(x, y)
    }
    assert {(row["first"], row["second"]) for row in found["near_prompts"]} == expected != set()
    held: dict[str, set[str]] = {}
    for row in rows:
        for media in (row["media_a"], row["media_b"]):
            held.setdefault(media, set()).add(row["split"])
    shared = {media for media, where in held.items() if len(where) > 1}
    assert {row["media_id"] for row in found["media"]} == shared
    assert found["counts"]["prompts"] == 0 and found["counts"]["media"] == len(shared)


_SIDES = """SELECT s.version, s.split, p.canonical, a.media_id AS media_a, b.media_id AS media_b FROM samples s
JOIN pairs q USING (pair_id) JOIN prompts p ON p.prompt_id = q.prompt_id
JOIN candidates a ON a.candidate_id = q.candidate_a JOIN candidates b ON b.candidate_id = q.candidate_b"""


def _landscape(seed: int) -> NDArray[np.uint8]:
    """Smooth patches of colour, 120 x 120."""
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 5, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((120, 120), Image.Resampling.BICUBIC))


def test_look_alikes_survive_scaling_and_differ_from_others() -> None:
    large, other = (_landscape(seed) for seed in (1, 2))
    small = Image.fromarray(large).resize((60, 60), Image.Resampling.BICUBIC)
    lossy = io.BytesIO()
    small.save(lossy, "JPEG", quality=60)
    hashes = [difference_hash(data) for data in (encode_png(large), encode_png(other), lossy.getvalue())]
    assert near_pairs(hashes) == [(0, 2)]


@given(st.lists(st.integers(0, 2**64 - 1), max_size=8), st.integers(0, 2**64 - 1), st.sets(st.integers(0, 63)))
def test_near_hashes_are_those_that_comparing_all_finds(hashes: list[int], one: int, bits: set[int]) -> None:
    hashes += [one, one ^ sum(1 << bit for bit in bits)]
    by_hand = [(i, j) for i, j in combinations(range(len(hashes)), 2) if bin(hashes[i] ^ hashes[j]).count("1") <= 3]
    assert near_pairs(hashes) == by_hand


def test_alpha_is_krippendorffs() -> None:
    """Against the package krippendorff 0.8 on the counts written out pair by pair."""
    rng = np.random.default_rng(0)
    counts = rng.multinomial(4, [0.5, 0.3, 0.15, 0.05], size=200)
    counts[:20] = [1, 0, 0, 0]
    patterns, pairs = np.unique(counts, axis=0, return_counts=True)
    value, interval = alpha_of_patterns(patterns.astype(np.int64), pairs.astype(np.int64))
    golden = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
    assert value == pytest.approx(golden, abs=1e-12) and interval is not None and interval[0] < golden < interval[1]
    assert alpha_of_patterns(np.array([[3, 0]]), np.array([5])) == (None, None)
    assert alpha_of_patterns(np.array([[1, 0]]), np.array([5])) == (None, None)


def test_votes_of_another_campaign_are_not_behind_a_version(mine: Warehouse) -> None:
    """A placebo asks about the same pairs: its votes belong to no sample of this version."""
    before = agreement(mine, "calm@2")
    votes = mine.rows("SELECT * FROM votes WHERE NOT deleted ORDER BY vote_id LIMIT 5")
    placebo = {"task_id": None, "source": "campaign:placebo", "label": "b"}
    mine.merge("votes", [vote | placebo | {"vote_id": f"elsewhere-{i}"} for i, vote in enumerate(votes)])
    # A purged past leaves the votes as they stand now.
    mine.rows("UPDATE dataset_versions SET snapshot_id = -1")
    assert agreement(mine, "calm@2") == before


def test_agreement_of_a_version_and_its_parts(calm: Warehouse) -> None:
    rows = agreement(calm, "calm@1")
    consensus = json.loads(
        calm.rows(
            "SELECT agreement_json FROM consensus_runs c JOIN dataset_versions d USING (consensus_id) WHERE version = 1"
        )[0]["agreement_json"]
    )
    assert {(row["task"], row["dimension"]) for row in rows} >= {("t2i", "overall"), ("t2v", "overall")}
    counted = {name: sum(row["votes"] for row in rows if row["dimension"] == name) for name in consensus}
    assert counted == {name: part["votes"] for name, part in consensus.items()}
    overall = next(row for row in rows if (row["task"], row["dimension"]) == ("t2i", "overall"))
    assert overall["ci_low"] <= overall["alpha"] <= overall["ci_high"] and 0 < overall["same"] < 1
    parts = agreement(calm, "calm@1", by="guideline_version")
    assert {row["guideline_version"] for row in parts} == {1, 2}
    assert sum(row["votes"] for row in parts) == sum(row["votes"] for row in rows)
    with pytest.raises(InvalidInputError):
        agreement(calm, "calm@1", by="mood")


def test_win_rates_are_those_of_the_samples(calm: Warehouse) -> None:
    rows = win_rates(calm, "calm@1")
    tiny = next(r for r in rows if (r["task"], r["dimension"], r["generator"]) == ("t2i", "overall", "tiny"))
    shares = calm.rows(
        "SELECT s.p_a, g.name FROM samples s JOIN pairs p USING (pair_id) JOIN candidates a ON "
        "a.candidate_id = p.candidate_a JOIN generators g USING (generator_id) WHERE s.version = 1 "
        "AND s.task = 't2i' AND s.dimension = 'overall'"
    )
    won = [row["p_a"] if row["name"] == "tiny" else 1 - row["p_a"] for row in shares]
    assert tiny["opponent"] is None and tiny["n"] == len(won)
    assert tiny["win_rate"] == pytest.approx(sum(won) / len(won), abs=1e-4)
    assert tiny["ci_low"] < tiny["win_rate"] < tiny["ci_high"]
    against = {r["opponent"]: r for r in rows if r["generator"] == "tiny" and r["task"] == "t2i"}
    assert {"sun", "moon"} <= against.keys()
