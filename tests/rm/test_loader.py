from __future__ import annotations

from itertools import chain, islice
from typing import Any

import numpy as np
import pytest
import torch

from rm import negatives
from rm.examples import Asking
from rm.families import load_family
from rm.lengths import token_lengths
from rm.loader import BatchPlan, FrameCache, PairExamples, training_loader
from rm.processes import Processes
from tests.rm.conftest import Place
from warehouse.datasets import build
from warehouse.errors import InvalidInputError
from warehouse.shards import ShardDataset, open_split


def parts(place: Place) -> list[ShardDataset]:
    return [open_split(place.warehouse, "bright", 1, "train", seed=3, tasks=[task]) for task in ("t2i", "t2v")]


def examples(place: Place) -> PairExamples:
    return PairExamples(parts(place), FrameCache(4), Asking(end="<|im_end|>"))


def loader(place: Place, bucket: int = 0) -> Any:
    found, family = examples(place), load_family(place.base)
    lengths = token_lengths(found, family, 4) if bucket else None
    return training_loader(found, BatchPlan(found, 5, seed=3, lengths=lengths, bucket=bucket), family)


@pytest.fixture(scope="module")
def taught(place: Place) -> PairExamples:
    """Voted pictures and their negatives; clips without."""
    config = negatives.NegativesConfig(dataset="bright", version=1, pictures=1.0, words=0.0)
    made = negatives.run(config, place.warehouse).outputs["consensus_ids"]
    recipe = negatives.recipe_of(config, place.warehouse)
    changed = {"name": "mixed", "consensus_ids": tuple(made), "min_votes": 0, "tasks": ("t2i",)}
    version = build.run(recipe.model_copy(update=changed), place.warehouse).outputs["version"]
    return PairExamples([open_split(place.warehouse, "mixed", version, "train", seed=3), parts(place)[1]],
                        FrameCache(4), Asking())


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


def test_an_epoch_has_the_wanted_share_of_negatives(taught: PairExamples) -> None:
    """Of the pictures, which have negatives: clips have none here."""
    voted = set(np.flatnonzero(~taught.negatives).tolist())
    pictures = len(voted) - len(taught.parts[1])
    for share, wanted in ((None, len(taught) - len(voted)), (0.0, 0), (0.25, pictures / 3)):
        plan = BatchPlan(taught, 5, seed=3, negatives=share)
        epochs = [[index for batch in plan.epoch(n) for index in batch] for n in range(2)]
        extra = [set(epoch) - voted for epoch in epochs]
        assert voted <= set(epochs[0]) and len(epochs[0]) == len(set(epochs[0]))
        assert len(extra[0]) == pytest.approx(wanted, abs=1) and (extra[0] != extra[1]) == (share == 0.25)
    with pytest.raises(InvalidInputError, match="the dataset version has none"):
        BatchPlan(PairExamples(taught.parts[1:], FrameCache(4), Asking()), 5, seed=3, negatives=0.5)


def test_buckets_pad_less_and_meet_the_same_samples(place: Place) -> None:
    found, family = examples(place), load_family(place.base)
    lengths = token_lengths(found, family, max_frames=4)
    whole = [max(int(family.encode([each]).attention_mask.sum()) for each in found[index])
             for index in range(len(found))]
    assert lengths.tolist() == whole and len(set(whole)) > 3
    lengths = np.random.default_rng(0).integers(50, 500, len(found))
    plain, bucketed = (BatchPlan(found, 5, seed=3, lengths=lengths, bucket=size).epoch(1) for size in (0, 4))
    assert sorted(chain(*plain)) == sorted(chain(*bucketed)) and plain != bucketed

    def padding(batches: list[list[int]]) -> int:
        return sum(int(lengths[batch].max()) * len(batch) - int(lengths[batch].sum()) for batch in batches)

    assert padding(bucketed) < padding(plain) / 2


def test_the_shares_of_processes_make_one_batch(place: Place) -> None:
    found = examples(place)
    whole = BatchPlan(found, 5, seed=3).epoch(1)
    shares = [BatchPlan(found, 5, seed=3, processes=Processes(rank, 2)).epoch(1) for rank in range(2)]
    assert [sorted(batch) for batch in whole] == [sorted(a + b) for a, b in zip(*shares, strict=True)]
    assert all(3 <= len(batch) <= 7 for batch in whole) and all(a and b for a, b in zip(*shares, strict=True))
    with pytest.raises(InvalidInputError, match="9 processes"):
        BatchPlan(found, 5, seed=3, processes=Processes(0, 9)).epoch(0)


@pytest.mark.parametrize("bucket", [0, 4])
def test_a_loader_resumes_at_every_batch(place: Place, bucket: int) -> None:
    whole = [(batch.input_ids, batch.targets) for batch in islice(loader(place, bucket), 12)]
    for stop in (0, 1, 5, 11):
        first = loader(place, bucket)
        for _ in islice(first, stop):
            pass
        second = loader(place, bucket)
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
