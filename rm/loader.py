"""Shards -> batches of token rows for training: torchdata's StatefulDataLoader around warehouse.shards.

The order is a pure function of seed and epoch, so the loader's state is how many batches were given out: a resumed run
meets exactly the batches that an undisturbed one meets. A batch holds samples of one task, because clips beside
pictures are mostly padding, and where asked for samples of about one length. Decoded frames are kept up to a limit, so
that later epochs do not decode again.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from rm.context import Example, Frames
from rm.examples import Asking, Decode
from rm.families.family import Family
from rm.families.layout import Batch
from rm.processes import Processes
from rm.reward_model import frames_of
from warehouse.errors import InvalidInputError
from warehouse.records import ADVERSARIAL
from warehouse.shards import Sample, ShardDataset
from warehouse.shards.order import Indices, epoch_order

CACHE_BYTES = 256 * 1024 * 1024
ALONE = Processes()


class FrameCache:
    """Decoded frames by media id; what was used longest ago goes first once `limit_bytes` are reached."""

    def __init__(self, max_frames: int, limit_bytes: int = CACHE_BYTES) -> None:
        self.max_frames, self._limit, self._size = max_frames, limit_bytes, 0
        self._held: OrderedDict[str, Frames] = OrderedDict()

    def __call__(self, media_id: str, data: bytes) -> Frames:
        if media_id in self._held:
            self._held.move_to_end(media_id)
            return self._held[media_id]
        frames = frames_of(data, self.max_frames, media_id)
        self._held[media_id] = frames
        self._size += frames.pixels.nbytes
        while self._size > self._limit and len(self._held) > 1:
            self._size -= self._held.popitem(last=False)[1].pixels.nbytes
        return frames


class PairExamples(Dataset[tuple[Example, Example]]):
    """The examples of every sample of several shard datasets, one after the other.

    `negatives` [N] says which samples lie in shards of their own, that nobody voted on (negatives.py).
    """

    def __init__(self, parts: Sequence[ShardDataset], decode: Decode, asking: Asking) -> None:
        self.parts, self.asking, self._decode = list(parts), asking, decode
        self.negatives = np.concatenate([np.zeros(0, bool), *(part.tagged(ADVERSARIAL) for part in self.parts)])
        self.offsets = [sum(len(part) for part in self.parts[:index]) for index in range(len(self.parts))]

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __getitem__(self, index: int) -> tuple[Example, Example]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Example, Example]]:
        """A batch at once, as torch's loader asks: its samples are read from object storage side by side."""
        places = [self._place(index) for index in indices]
        samples: dict[tuple[int, int], Sample] = {}
        for number, part in enumerate(self.parts):
            wanted = sorted({place for owner, place in places if owner == number})
            read = zip(wanted, part.__getitems__(wanted), strict=True)
            samples |= {(number, place): sample for place, sample in read}
        return [self.asking.examples(samples[place], self._decode) for place in places]

    def _place(self, index: int) -> tuple[int, int]:
        """(number of the part, index in the part)."""
        part = max(number for number, offset in enumerate(self.offsets) if offset <= index and len(self.parts[number]))
        return part, index - self.offsets[part]


def extra(voted: int, share: float) -> int:
    """How many negatives beside `voted` samples make a share of all."""
    return round(voted * share / (1.0 - share))


class BatchPlan(Sampler[list[int]]):
    """Index lists without end, epoch after epoch; the batches of all tasks are mixed within an epoch.

    The batches do not depend on the number of processes: each process takes its share of every batch. A rest smaller
    than half a batch joins the batch before it, so that no process is left without a sample.

    `negatives` is the share of adversarial samples in what an epoch meets, another choice each time; None takes all of
    them once. With `lengths` [N] of the samples, `bucket` batches at a time are cut from samples sorted by length: an
    epoch meets the same samples, in batches with little padding.
    """

    def __init__(self, examples: PairExamples, batch_pairs: int, seed: int, processes: Processes = ALONE,
                 negatives: float | None = None, lengths: Indices | None = None, bucket: int = 0) -> None:
        if not len(examples):
            raise InvalidInputError("no samples to train on", hint="check dataset, version, tasks and dimensions")
        if negatives and not examples.negatives.any():
            raise InvalidInputError(f"a share of {negatives} negatives is wanted, the dataset version has none",
                                    hint="make some with: rewarddance rm negatives; name their consensus in the recipe")
        self.pairs = batch_pairs
        self._examples, self._size, self._seed, self._processes = examples, batch_pairs, seed, processes
        self._negatives, self._lengths, self._bucket = negatives, lengths, bucket

    def __iter__(self) -> Iterator[list[int]]:
        for epoch in count():
            yield from self.epoch(epoch)

    def epoch(self, epoch: int) -> list[list[int]]:
        """This process's shares of the batches of one epoch."""
        batches: list[list[int]] = []
        for part, offset in zip(self._examples.parts, self._examples.offsets, strict=True):
            part.set_epoch(epoch)
            batches += self._cut(self._sorted(self._mixed(part.plan(0, 1) + offset, epoch)).tolist())
        return [self._processes.share(batches[place]) for place in epoch_order(len(batches), self._seed, epoch)]

    def _mixed(self, order: Indices, epoch: int) -> Indices:
        """The part's samples with the wanted share of negatives."""
        if self._negatives is None:
            return order
        negative = self._examples.negatives[order]
        # The order is random already: its first negatives are a random choice, another one each epoch.
        chosen = order[negative][:extra(int((~negative).sum()), self._negatives)]
        mixed: Indices = np.concatenate([order[~negative], chosen])
        return mixed[epoch_order(len(mixed), self._seed, epoch)] if len(chosen) else mixed

    def _sorted(self, indices: Indices) -> Indices:
        """Sorted by length within each bucket, where lengths are known."""
        if self._lengths is None or not self._bucket:
            return indices
        size = self._bucket * self._size
        buckets = [indices[start:start + size] for start in range(0, len(indices), size)]
        found: Indices = np.concatenate([each[np.argsort(self._lengths[each], kind="stable")] for each in buckets])
        return found

    def _cut(self, indices: list[int]) -> list[list[int]]:
        batches = [indices[start:start + self._size] for start in range(0, len(indices), self._size)]
        if len(batches) > 1 and 2 * len(batches[-1]) < self._size:
            rest = batches.pop()
            batches[-1] += rest
        if batches and len(batches[-1]) < self._processes.world:
            raise InvalidInputError(f"{self._processes.world} processes share a batch of {len(batches[-1])} pairs",
                                    hint="use fewer processes, or larger batches")
        return batches


class Collate:
    """Pairs of examples -> one batch of the family."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def __call__(self, pairs: Sequence[tuple[Example, Example]]) -> Batch:
        return self._family.encode([example for pair in pairs for example in pair])


def training_loader(examples: PairExamples, plan: BatchPlan, family: Family) -> Any:
    """A StatefulDataLoader whose state_dict resumes at the exact batch; its own generator leaves torch's alone."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    # torchdata 0.11 asks torch for something that torch has given up, and says so to whoever trains.
    warnings.filterwarnings("ignore", "'set_vital' is deprecated", UserWarning)
    return StatefulDataLoader(examples, batch_sampler=plan, collate_fn=Collate(family), generator=torch.Generator())
