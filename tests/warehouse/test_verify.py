"""Verify finds every kind of damage and names shard and sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from warehouse import Warehouse
from warehouse.datasets.verify import verify
from warehouse.errors import NotFoundError


def test_a_version_as_it_was_made(calm: Warehouse) -> None:
    for version in (1, 2):
        found = verify(calm, f"calm@{version}")
        rows = calm.rows("SELECT sum(samples) AS samples, count(*) AS shards FROM shards WHERE version = ?", [version])
        assert found["ok"] and found["problems"] == [] and found["erased"] == 0
        assert (found["samples"], found["shards"]) == (rows[0]["samples"], rows[0]["shards"])
    with pytest.raises(NotFoundError):
        verify(calm, "calm@9")


def _place(warehouse: Warehouse) -> tuple[Path, dict[str, Any]]:
    """The split folder of train, and the index row of a sample in the middle."""
    folder = warehouse.root / "datasets" / "calm" / "v1" / "train"
    return folder, pq.read_table(folder / "index.parquet").to_pylist()[1]


def test_flipped_truncated_and_absent_bytes(mine: Warehouse) -> None:
    folder, row = _place(mine)
    shard = folder / row["shard"]
    good = shard.read_bytes()
    bad = bytearray(good)
    bad[row["offset"] + 600] ^= 1
    shard.write_bytes(bad)
    problems = verify(mine, "calm@1")["problems"]
    assert [problem["key"] for problem in problems] == ["", row["key"]]
    assert {problem["shard"] for problem in problems} == {f"train/{row['shard']}"}
    shard.write_bytes(good[: row["offset"] + 100])
    found = verify(mine, "calm@1")
    assert not found["ok"] and any("100 of" in problem["problem"] for problem in found["problems"])
    shard.unlink()
    assert [problem["problem"] for problem in verify(mine, "calm@1")["problems"]] == ["the shard is gone"]
    shard.write_bytes(good)
    (folder / "index.parquet").write_bytes(b"PAR1 nothing")
    assert "index" in verify(mine, "calm@1")["problems"][0]["problem"]
    assert verify(mine, "calm@2")["ok"]


def test_rows_that_say_something_else(mine: Warehouse) -> None:
    folder, row = _place(mine)
    key = row["key"]
    mine.rows("UPDATE samples SET content_sha256 = repeat('0', 64) WHERE version = 1 AND sample_key = ?", [key])
    assert [problem["key"] for problem in verify(mine, "calm@1")["problems"]] == [key]
    mine.rows("DELETE FROM samples WHERE version = 1 AND sample_key = ?", [key])
    assert [problem["key"] for problem in verify(mine, "calm@1")["problems"]] == [key]
    mine.rows("UPDATE dataset_versions SET hash = 'other' WHERE version = 2")
    assert "hash" in verify(mine, "calm@2")["problems"][0]["problem"]
    index = pq.read_table(folder / "index.parquet")
    pq.write_table(index.slice(0, 1), folder / "index.parquet")
    assert any("lacks" in problem["problem"] for problem in verify(mine, "calm@1")["problems"])
