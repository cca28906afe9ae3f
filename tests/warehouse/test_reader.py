"""The reader over real versions: every sample back through three readers, orders, restarts, damage."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.warehouse import preference_rows
from warehouse import open_warehouse
from warehouse.datasets import build
from warehouse.datasets.recipe import SPLITS
from warehouse.errors import ConflictError, CorruptDataError, InvalidInputError, NotFoundError
from warehouse.hashing import content_id
from warehouse.media.store import MediaStore
from warehouse.shards import ShardDataset, open_split
from warehouse.shards.order import epoch_order, share


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with one version: pictures, clips, pictures with a condition."""
    folder = tmp_path_factory.mktemp("reader") / "warehouse"
    with open_warehouse(str(folder)) as warehouse:
        world = preference_rows.fill(warehouse)
        for number in range(100, 104):
            source = preference_rows.picture(number)
            pair = world.pair(f"paint it {number}", number, task="edit", domain="ood", condition=source)
            world.votes(pair, "overall", 0.75)
        world.save()
        build.run(preference_rows.config(), warehouse)
    return folder


@pytest.fixture
def train(root: Path) -> ShardDataset:
    return open_split(root, "demo", 1, "train", seed=3)


def _groups(root: Path) -> dict[tuple[str, str], list[str]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for path in sorted((root / "datasets" / "demo" / "v1").glob("*/*.tar")):
        groups.setdefault((path.parent.name, path.name.rpartition("-")[0]), []).append(str(path))
    return groups


def _by_key(root: Path) -> dict[str, Any]:
    splits = [open_split(root, "demo", 1, split) for split in SPLITS]
    return {sample.key: sample for split in splits for sample in (split[i] for i in range(len(split)))}


def test_a_sample_says_what_the_rows_say(root: Path) -> None:
    samples, media = _by_key(root), MediaStore(root / "media")
    assert len(samples) == 24 * 4 + 4
    for sample in samples.values():
        facts = sample.facts
        assert (sample.a, sample.b) == (media.get(facts["media_a"]), media.get(facts["media_b"]))
        assert sample.instruction == f"{facts['dimension']} {preference_rows.TEMPLATE}"
        assert facts["rationale_verdict"] == ("" if not sample.rationale else "a" if facts["p_a"] > 0.5 else "b")
        assert sample.rationale.endswith(facts["rationale_verdict"])
        assert (sample.condition is not None) == (facts["task"] == "edit") and sample.references == ()
        assert facts["fps"] == (8.0 if facts["task"] == "t2v" else 0.0)


def test_webdataset_reads_every_sample(root: Path) -> None:
    ours, seen = _by_key(root), set[str]()
    for (_, group), paths in _groups(root).items():
        for sample in webdataset.WebDataset(paths, shardshuffle=False, empty_check=False):
            mine = ours[sample["__key__"]]
            extension = "mp4" if "t2v" in group else "png"
            assert sample[f"a.{extension}"] == mine.a and sample[f"b.{extension}"] == mine.b
            assert (sample["prompt.txt"].decode(), sample["rationale.txt"].decode()) == (mine.prompt, mine.rationale)
            assert json.loads(sample["json"]) == mine.facts
            seen.add(sample["__key__"])
    assert seen == set(ours)


def _no_none(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_no_none(item) for item in value.values())
    if isinstance(value, list):
        return all(_no_none(item) for item in value)
    return value is not None


def test_datasets_reads_every_sample_and_finds_no_none(root: Path, tmp_path: Path) -> None:
    ours, seen = _by_key(root), set[str]()
    for (split, group), paths in _groups(root).items():
        loaded = datasets.load_dataset(
            "webdataset", data_files={split: paths}, split=split, cache_dir=str(tmp_path / split / group)
        )
        for name, feature in loaded.features.items():
            if isinstance(feature, datasets.Video):
                loaded = loaded.cast_column(name, datasets.Video(decode=False))
            if isinstance(feature, datasets.Image):
                loaded = loaded.cast_column(name, datasets.Image(decode=False))
        for sample in loaded:
            mine = ours[sample["__key__"]]
            media = {name: value["bytes"] for name, value in sample.items() if name.endswith((".png", ".mp4"))}
            assert media.pop(next(name for name in media if name.startswith("a."))) == mine.a
            assert media.pop(next(name for name in media if name.startswith("b."))) == mine.b
            assert list(media.values()) == ([mine.condition] if mine.condition else [])
            assert sample["json"] == mine.facts and sample["prompt.txt"] == mine.prompt
            assert sample["instruction.txt"] == mine.instruction and sample["rationale.txt"] == mine.rationale
            assert _no_none({name: value for name, value in sample.items() if not name.endswith((".png", ".mp4"))})
            seen.add(sample["__key__"])
    assert seen == set(ours)


def test_the_cards_front_matter_lets_datasets_find_a_group(root: Path, tmp_path: Path) -> None:
    loaded = datasets.load_dataset(
        str(root / "datasets" / "demo" / "v1"), "t2i-image-a_png-b_png", split="train", cache_dir=str(tmp_path)
    )
    expected = sum(sample.facts["task"] == "t2i" for sample in _samples(open_split(root, "demo", 1, "train")))
    assert len(loaded) == expected > 0 and isinstance(loaded[0]["a.png"], Image.Image)


def _samples(dataset: ShardDataset) -> list[Any]:
    return [dataset[i] for i in range(len(dataset))]


def test_indices(train: ShardDataset) -> None:
    assert train[-1].key == train[len(train) - 1].key == train.keys[-1]
    assert train[np.int64(0)].key == train.keys[0]  # type: ignore[call-overload]
    for index in (len(train), -len(train) - 1):
        with pytest.raises(IndexError):
            train[index]


def test_only_some_tasks_and_dimensions(root: Path) -> None:
    some = open_split(root, "demo", 1, "train", tasks=("t2i",), dimensions=("overall",))
    facts = [sample.facts for sample in _samples(some)]
    assert facts and all((fact["task"], fact["dimension"]) == ("t2i", "overall") for fact in facts)
    everything = [sample.facts for sample in _samples(open_split(root, "demo", 1, "train"))]
    assert len(facts) == sum((fact["task"], fact["dimension"]) == ("t2i", "overall") for fact in everything)
    assert len(open_split(root, "demo", 1, "train", tasks=("i2v",))) == 0


def test_unknown_splits_and_versions(root: Path) -> None:
    with pytest.raises(NotFoundError, match="ood, test, train, validation"):
        open_split(root, "demo", 1, "trian")
    with pytest.raises(NotFoundError):
        open_split(root, "demo", 9, "train")


def test_reading_needs_neither_torch_nor_duckdb_connections(root: Path) -> None:
    code = (
        "import sys\nfrom warehouse.shards import open_split\n"
        f"d = open_split({str(root)!r}, 'demo', 1, 'train')\nprint(len(d[0].a) > 0, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_a_pickled_reader_goes_on_in_the_same_order(train: ShardDataset) -> None:
    train.set_epoch(4)
    train.advance(5)
    data = pickle.dumps(train)
    copy = pickle.loads(data)
    assert len(data) < 2000 and copy.state_dict() == train.state_dict()
    assert list(copy.plan(0, 1)) == list(train.plan(0, 1)) and copy[3] == train[3]


@given(st.integers(0, 300), st.integers(0, 2**40), st.integers(0, 50), st.integers(1, 17), st.integers(0, 300))
def test_every_rank_takes_as_many_and_every_sample_comes_once(
    samples: int, seed: int, epoch: int, world: int, start: int
) -> None:
    order = epoch_order(samples, seed, epoch)
    assert sorted(order) == list(range(samples))
    shares = [share(order, rank, world, start) for rank in range(world)]
    assert len({len(part) for part in shares}) == 1
    taken = [int(index) for step in zip(*shares, strict=True) for index in step]
    left = order[start:].tolist()
    padding = taken[len(left) :]
    assert taken[: len(left)] == left and len(padding) < world
    assert padding == [order[i % samples] for i in range(len(padding))]


def _splitmix64(state: int, numbers: int) -> list[int]:
    """The published C code (prng.di.unimi.it/splitmix64.c) in Python integers."""
    mask, made = 2**64 - 1, []
    for _ in range(numbers):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        made.append(z ^ (z >> 31))
    return made


def test_orders_are_those_of_any_machine() -> None:
    """A run resumed with another NumPy must not shuffle anew."""
    assert _splitmix64(1234567, 2) == [6457827717110365317, 3203168211198807973]
    for seed, epoch in ((0, 0), (7, 1), (2**40, 30)):
        keys = _splitmix64(int(content_id("epoch order", seed, epoch)[:16], 16), 100)
        assert epoch_order(100, seed, epoch).tolist() == sorted(range(100), key=lambda i: keys[i])
    assert len({tuple(epoch_order(50, seed, epoch)) for seed in range(4) for epoch in range(4)}) == 16


@pytest.mark.parametrize(("rank", "world"), [(2, 2), (-1, 2), (0, 0)])
def test_ranks_outside_the_world(train: ShardDataset, rank: int, world: int) -> None:
    with pytest.raises(InvalidInputError):
        train.plan(rank, world)


@settings(max_examples=40, deadline=None)
@given(before=st.integers(1, 5), after=st.integers(1, 5), steps=st.integers(0, 12), batch=st.integers(1, 3))
def test_a_restart_at_any_step_with_any_world_repeats_and_loses_nothing(
    root: Path, before: int, after: int, steps: int, batch: int
) -> None:
    dataset = open_split(root, "demo", 1, "train", seed=1)
    dataset.set_epoch(2)
    plans = [dataset.plan(rank, before) for rank in range(before)]
    steps = min(steps, len(dataset) // (before * batch))
    used = [int(index) for plan in plans for index in plan[: steps * batch]]
    dataset.advance(steps * batch * before)
    resumed = open_split(root, "demo", 1, "train")
    resumed.load_state_dict(json.loads(json.dumps(dataset.state_dict())))
    parts = [resumed.plan(rank, after) for rank in range(after)]
    left = [int(index) for step in zip(*parts, strict=True) for index in step][: len(dataset) - len(used)]
    assert sorted(used + left) == list(range(len(dataset)))
    if before == after:
        assert [list(part) for part in parts] == [list(plan[steps * batch :]) for plan in plans]


def test_a_state_of_other_samples_is_refused(root: Path, train: ShardDataset) -> None:
    with pytest.raises(ConflictError, match="other samples"):
        train.load_state_dict(open_split(root, "demo", 1, "test").state_dict())


def _damaged(root: Path, tmp_path: Path) -> tuple[ShardDataset, Path, dict[str, Any]]:
    """A copy of the train split, its first shard, and the index row of that shard's second sample."""
    folder = tmp_path / "datasets" / "demo" / "v1" / "train"
    shutil.copytree(root / "datasets" / "demo" / "v1" / "train", folder)
    dataset = open_split(tmp_path, "demo", 1, "train")
    row = pq.read_table(folder / "index.parquet").to_pylist()[1]
    return dataset, folder / row["shard"], row


@pytest.mark.parametrize("at", [5, 400, 700, -1])
def test_one_flipped_bit_is_found_and_named(root: Path, tmp_path: Path, at: int) -> None:
    dataset, shard, row = _damaged(root, tmp_path)
    data = bytearray(shard.read_bytes())
    place = row["offset"] + (at if at >= 0 else row["size"] - 1)
    data[place] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CorruptDataError) as caught:
        dataset[1]
    assert row["key"] in str(caught.value) and shard.name in str(caught.value)
    assert dataset[0].a and dataset[2].a


def test_truncated_and_absent_shards_are_named(root: Path, tmp_path: Path) -> None:
    dataset, shard, row = _damaged(root, tmp_path)
    shard.write_bytes(shard.read_bytes()[: row["offset"] + 100])
    with pytest.raises(CorruptDataError, match=f"{row['key']} of shard {shard.name}.*100 of {row['size']} bytes"):
        dataset[1]
    shard.unlink()
    with pytest.raises(CorruptDataError, match=f"shard {shard.name} is gone.*{dataset.keys[0]}"):
        dataset[0]


def test_a_damaged_index_is_no_split(root: Path, tmp_path: Path) -> None:
    dataset, _, _ = _damaged(root, tmp_path)
    (dataset.folder / "index.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(CorruptDataError, match="index"):
        open_split(tmp_path, "demo", 1, "train")


def test_pictures_decode(root: Path) -> None:
    sample = next(s for s in _by_key(root).values() if s.facts["media_kind"] == "image")
    assert Image.open(io.BytesIO(sample.a)).size == (16, 16)
