"""Mid-epoch resume through torchdata's StatefulDataLoader, with 0, 2 and 4 workers: exact, each sample once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import Sampler
from torchdata.stateful_dataloader import StatefulDataLoader

from tests.warehouse import sample_shards
from warehouse.shards import Sample, ShardDataset, open_split

SAMPLES, BATCH, EPOCH = 61, 4, 3


def _keys(samples: list[Sample]) -> list[str]:
    return [sample.key for sample in samples]


class _Plan(Sampler[int]):
    def __init__(self, indices: list[int]) -> None:
        self._indices = indices

    def __iter__(self) -> Any:
        return iter(self._indices)


def _loader(root: Path, rank: int, world: int, workers: int) -> Any:
    dataset: ShardDataset = open_split(root, "small", 1, "train", seed=7)
    dataset.set_epoch(EPOCH)
    plan = _Plan(dataset.plan(rank, world).tolist())
    return StatefulDataLoader(dataset, BATCH, sampler=plan, num_workers=workers, collate_fn=_keys)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    sample_shards.write(folder, SAMPLES)
    return folder


@pytest.mark.parametrize("workers", [0, 2, 4])
def test_a_run_stopped_in_the_middle_goes_on_exactly_there(root: Path, workers: int) -> None:
    undisturbed = list(_loader(root, 0, 1, 0))
    first = _loader(root, 0, 1, workers)
    steps = iter(first)
    seen = [next(steps) for _ in range(5)]
    state = first.state_dict()
    del steps, first
    second = _loader(root, 0, 1, workers)
    second.load_state_dict(state)
    assert seen + list(second) == undisturbed
    assert sorted(key for batch in undisturbed for key in batch) == [f"key{i:04d}" for i in range(SAMPLES)]


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_nodes_take_equal_steps_and_every_sample(root: Path, world: int) -> None:
    epochs = [list(_loader(root, rank, world, 0)) for rank in range(world)]
    assert len({len(batches) for batches in epochs}) == 1
    keys = [key for batches in epochs for batch in batches for key in batch]
    assert len(set(keys)) == SAMPLES and len(keys) - SAMPLES < world
