"""A dataset's whole life at every place: built, read on another machine, exported, forgotten, erased, cleared away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines.forgetting import forget
from tests.warehouse import two_versions
from tests.warehouse.catalog.conftest import PLACES
from tests.warehouse.catalog.servers import MakeUrl
from tests.warehouse.two_versions import Ids
from warehouse import Warehouse, open_warehouse
from warehouse.datasets.diff import diff
from warehouse.datasets.verify import verify
from warehouse.datasets.versions import list_versions, show_version
from warehouse.export import export
from warehouse.gc import collect
from warehouse.lineage import sources
from warehouse.shards import open_split
from warehouse.sql import query


@pytest.fixture
def place(make_url: MakeUrl, two_versions_root: tuple[Path, Ids]) -> tuple[str, Ids]:
    """Two versions: a copy of those of other tests, or made here, on a machine that is no more, in object storage."""
    url = make_url()
    if "://" not in url:
        shutil.copytree(two_versions_root[0], url)
        return url, two_versions_root[1]
    with open_warehouse(url) as first:
        ids = two_versions.fill(first)
        if first.remote:
            shutil.rmtree(first.root)
    return url, ids


def _raters(folder: Path) -> set[str]:
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]
    return {vote["rater"] for line in lines for vote in json.loads(line)["votes"]}


def _objects(warehouse: Warehouse, prefix: str) -> list[str]:
    if warehouse.remote:
        return warehouse.remote.names(prefix)
    return [str(path) for path in (warehouse.root / prefix).rglob("*") if path.is_file()]


def _reads(warehouse: Warehouse) -> dict[str, Any]:
    train = open_split(warehouse, "calm", 2, "train")
    samples = train.__getitems__(train.plan(0, 1).tolist())
    return {sample.key: sample.a for sample in samples}


@pytest.mark.parametrize("make_url", [PLACES[0], PLACES[-1]], indirect=True)
def test_a_datasets_life(place: tuple[str, Ids], tmp_path: Path) -> None:
    url, ids = place
    dov = ids.raters["dov"]
    with open_warehouse(url) as second:
        assert verify(second, "calm@1")["ok"] and verify(second, "calm@2")["ok"]
        assert diff(second, "calm@1", "calm@2")["counts"]["changed"] == 2
        assert query(second, "SELECT count(*) AS n FROM dataset_history").to_pylist() == [{"n": 2}]
        assert sources(second, "reward-1").children
        there = _reads(second)
        assert len(there) == show_version(second, "calm@2")["splits"]["train"] > 0
        for name in ("one", "two"):
            export(second, "calm@1", "jsonl", tmp_path / name)
        one, two = _raters(tmp_path / "one"), _raters(tmp_path / "two")
        assert len(one) == len(two) == 4 and not one & two
        assert len(_objects(second, "keys/")) == 4

        erased = forget(second, "annotator", dov, erasing=True, dry_run=False)["erased"]
        assert len(_objects(second, "keys/")) == 3
        assert [row["state"] for row in list_versions(second)] == ["withdrawn", "withdrawn", "ready"]
        for version in (1, 2, 3):
            found = verify(second, f"calm@{version}")
            assert found["ok"] and found["erased"] == erased["samples"].get(f"calm@{version}", 0)
        left = _reads(second)
        assert left.items() <= there.items() and len(left) < len(there)
        assert not query(second, f"SELECT 1 FROM votes WHERE annotator_id = '{dov}'").num_rows

        shard = show_version(second, "calm@3")["shards"][0]["uri"]
        if second.remote:
            second.remote.write("datasets/calm/v9/train/x.tar", tmp_path / "one" / "README.md")
        else:
            (second.root / "datasets" / "calm" / "v9").mkdir()
            (second.root / "datasets" / "calm" / "v9" / "x.tar").write_bytes(b"x")
        assert collect(second, dry_run=True, older_s=0)["by_kind"] == {"version": 1}
        assert collect(second, dry_run=False, older_s=0)["changed"]
        assert collect(second, dry_run=True, older_s=0)["files"] == 0 and verify(second, "calm@3")["ok"]
        if second.remote:
            second.remote.remove(shard.removeprefix(f"{second.remote.url}/"))
        else:
            Path(shard).unlink()
        assert "gone" in verify(second, "calm@3")["problems"][0]["problem"]
