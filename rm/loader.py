"""Shards -> batches of token rows for training: torchdata's StatefulDataLoader around warehouse.shards.

The order is a pure function of seed and epoch, so the loader's state is how many batches were given out: a resumed run
meets exactly the batches that an undisturbed one meets. A batch holds samples of one task, because clips beside
pictures are mostly padding. Decoded frames are kept up to a limit, so that later epochs do not decode again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import torch
from torch.utils.data import Dataset, Sampler

from rm.context import Example, Frames
from rm.examples import Asking
from rm.families.family import Family
from rm.families.layout import Batch
from rm.processes import Processes
from rm.reward_model import frames_of
from warehouse.errors import InvalidInputError
from warehouse.shards import Sample, ShardDataset
from warehouse.shards.order import epoch_order

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

    Index len(self) + i is sample i once more, as a negative: its winner against a candidate that says nothing.
    """

    def __init__(self, parts: Sequence[ShardDataset], decode: FrameCache, asking: Asking) -> None:
        self.parts, self.asking, self._decode = list(parts), asking, decode
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
            wanted = sorted({place for _, owner, place in places if owner == number})
            read = zip(wanted, part.__getitems__(wanted), strict=True)
            samples |= {(number, place): sample for place, sample in read}
        return [
            (self.asking.negative if negative else self.asking.examples)(samples[part, place], self._decode)
            for negative, part, place in places
        ]

    def _place(self, index: int) -> tuple[int, int, int]:
        """(1 for a negative, number of the part, index in the part)."""
        negative, place = divmod(index, len(self))
        part = max(number for number, offset in enumerate(self.offsets) if offset <= place and len(self.parts[number]))
        return negative, part, place - self.offsets[part]


class BatchPlan(Sampler[list[int]]):
    """Index lists without end, epoch after epoch; the batches of all tasks are mixed within an epoch.

    The batches do not depend on the number of processes: each process takes its share of every batch. A rest smaller
    than half a batch joins the batch before it, so that no process is left without a sample.
    `negatives` is the share of each part's samples that an epoch meets once more as negatives, mixed among the others.
    """

    def __init__(self, examples: PairExamples, batch_pairs: int, seed: int, processes: Processes = ALONE,
                 negatives: float = 0.0) -> None:
        if not len(examples):
            raise InvalidInputError("no samples to train on", hint="check dataset, version, tasks and dimensions")
        self.pairs = batch_pairs
        self._examples, self._size, self._seed, self._processes = examples, batch_pairs, seed, processes
        self._negatives = negatives

    def __iter__(self) -> Iterator[list[int]]:
        for epoch in count():
            yield from self.epoch(epoch)

    def epoch(self, epoch: int) -> list[list[int]]:
        """This process's shares of the batches of one epoch."""
        batches: list[list[int]] = []
        for part, offset in zip(self._examples.parts, self._examples.offsets, strict=True):
            part.set_epoch(epoch)
            batches += self._cut(self._with_negatives((part.plan(0, 1) + offset).tolist(), epoch))
        return [self._processes.share(batches[place]) for place in epoch_order(len(batches), self._seed, epoch)]

    def _with_negatives(self, indices: list[int], epoch: int) -> list[int]:
        extra = int(len(indices) * self._negatives)
        if not extra:
            return indices
        # The plan's order is random already: its first samples are a random choice, another one each epoch.
        mixed = indices + [index + len(self._examples) for index in indices[:extra]]
        return [mixed[place] for place in epoch_order(len(mixed), self._seed, epoch)]

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

    return StatefulDataLoader(examples, batch_sampler=plan, collate_fn=Collate(family), generator=torch.Generator())
