from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from rm.context import Frames
from rm.examples import Asking
from rm.families import load_family
from rm.loader import BatchPlan, FrameCache, PairExamples, training_loader
from rm.processes import Processes
from tests.rm.conftest import Place
from warehouse.errors import InvalidInputError
from warehouse.shards import ShardDataset, open_split


def parts(place: Place) -> list[ShardDataset]:
    return [open_split(place.warehouse, "bright", 1, "train", seed=3, tasks=[task]) for task in ("t2i", "t2v")]


def examples(place: Place) -> PairExamples:
    return PairExamples(parts(place), FrameCache(4), Asking(end="<|im_end|>"))


def loader(place: Place) -> Any:
    found = examples(place)
    return training_loader(found, BatchPlan(found, 5, seed=3), load_family(place.base))


def test_both_orders_are_opposite_questions(place: Place) -> None:
    dataset = open_split(place.warehouse, "bright", 1, "train")
    seen = set()
    for index in range(len(dataset)):
        sample = dataset[index]
        first, second = Asking(end="<|im_end|>").examples(sample, FrameCache(4))
        assert first.target is not None and second.target is not None
        assert first.target + second.target == pytest.approx(1.0) and second.target == sample.facts["p_a"]
        pictures = [[part.pixels for part in example.parts if hasattr(part, "pixels")] for example in (first, second)]
        assert np.array_equal(pictures[0][0], pictures[1][1]) and np.array_equal(pictures[0][1], pictures[1][0])
        answers = (first.answer, second.answer)
        seen.add(answers)
        if sample.facts["p_a"] == 0.5:
            assert answers == (None, None)
        else:
            assert answers[sample.facts["p_a"] > 0.5] == "yes warmer<|im_end|>"
    assert len(seen) == 3


@pytest.mark.parametrize("world", [1, 2])
def test_an_epoch_meets_every_sample_once_and_never_mixes_tasks(place: Place, world: int) -> None:
    found = examples(place)
    images = len(found.parts[0])
    met: list[int] = []
    for rank in range(world):
        plan = BatchPlan(found, 5, seed=3, processes=Processes(rank, world))
        epoch = plan.epoch(2)
        assert all(len({index < images for index in batch}) == 1 for batch in epoch)
        met += [index for batch in epoch for index in batch]
    assert set(met) == set(range(len(found))) and len(met) < len(found) + 2 * world
    assert plan.epoch(2) == plan.epoch(2) != plan.epoch(3)


def test_negatives_set_winners_against_nothing(place: Place) -> None:
    found = examples(place)
    plan = BatchPlan(found, 5, seed=3, negatives=0.5)
    epochs = [[index for batch in plan.epoch(n) for index in batch] for n in range(2)]
    extra = [{index for index in epoch if index >= len(found)} for epoch in epochs]
    assert set(range(len(found))) <= set(epochs[0]) and 0.3 * len(found) < len(extra[0]) <= 0.5 * len(found)
    assert extra[0] != extra[1]
    for index in extra[0]:
        lost, won = found[index]
        plain = found[index - len(found)]
        assert (lost.target, won.target) == (0.0, 1.0)
        winner = lost.parts[1]
        assert plain[0].target is not None and isinstance(winner, Frames)
        assert winner is plain[0 if plain[0].target < 0.5 else 1].parts[1] or plain[0].target == 0.5


def test_the_shares_of_processes_make_one_batch(place: Place) -> None:
    found = examples(place)
    whole = BatchPlan(found, 5, seed=3).epoch(1)
    shares = [BatchPlan(found, 5, seed=3, processes=Processes(rank, 2)).epoch(1) for rank in range(2)]
    assert [sorted(batch) for batch in whole] == [sorted(a + b) for a, b in zip(*shares, strict=True)]
    assert all(3 <= len(batch) <= 7 for batch in whole) and all(a and b for a, b in zip(*shares, strict=True))
    with pytest.raises(InvalidInputError, match="9 processes"):
        BatchPlan(found, 5, seed=3, processes=Processes(0, 9)).epoch(0)


def test_a_loader_resumes_at_every_batch(place: Place) -> None:
    whole = [(batch.input_ids, batch.targets) for batch in islice(loader(place), 12)]
    for stop in (0, 1, 5, 11):
        first = loader(place)
        for _ in islice(first, stop):
            pass
        second = loader(place)
        if stop:
            second.load_state_dict(first.state_dict())
        rest = [(batch.input_ids, batch.targets) for batch in islice(second, 12 - stop)]
        assert all(torch.equal(a, b) for ours, theirs in zip(rest, whole[stop:], strict=True)
                   for a, b in zip(ours, theirs, strict=True))


def test_the_loader_leaves_torchs_random_state_alone(place: Place) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    next(iter(loader(place)))
    assert torch.equal(torch.get_rng_state(), before)


def test_frames_are_decoded_once_and_forgotten_in_order(place: Place) -> None:
    sample = parts(place)[0][0]
    cache = FrameCache(4)
    assert cache("a", sample.a) is cache("a", sample.a)
    small = FrameCache(4, limit_bytes=5000)
    first = small("a", sample.a)
    small("b", sample.b)
    assert small("b", sample.b) is small("b", sample.b) and small("a", sample.a) is not first


def test_no_samples_are_refused(place: Place) -> None:
    empty = PairExamples([open_split(place.warehouse, "bright", 1, "train", tasks=["edit"])], FrameCache(4), Asking())
    with pytest.raises(InvalidInputError, match="no samples"):
        BatchPlan(empty, 5, seed=0)
