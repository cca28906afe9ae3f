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
from rm.examples import ANSWER, both_orders
from rm.families.layout import Batch
from rm.families.qwen3_vl import Qwen3VL
from rm.reward_model import frames_of
from warehouse.errors import InvalidInputError
from warehouse.shards import ShardDataset
from warehouse.shards.order import epoch_order

CACHE_BYTES = 256 * 1024 * 1024


class FrameCache:
    """Decoded frames by media id; what was used longest ago goes first once `limit_bytes` are reached."""

    def __init__(self, max_frames: int, limit_bytes: int = CACHE_BYTES) -> None:
        self.max_frames, self._limit, self._size = max_frames, limit_bytes, 0
        self._held: OrderedDict[str, Frames] = OrderedDict()

    def __call__(self, media_id: str, data: bytes) -> Frames:
        if media_id in self._held:
            self._held.move_to_end(media_id)
            return self._held[media_id]
        frames = frames_of(data, self.max_frames)
        self._held[media_id] = frames
        self._size += frames.pixels.nbytes
        while self._size > self._limit and len(self._held) > 1:
            self._size -= self._held.popitem(last=False)[1].pixels.nbytes
        return frames


class PairExamples(Dataset[tuple[Example, Example]]):
    """Both orders of every sample of several shard datasets, one after the other."""

    def __init__(self, parts: Sequence[ShardDataset], decode: FrameCache, end: str, answer: str = ANSWER) -> None:
        self.parts, self._decode, self._end, self._answer = list(parts), decode, end, answer
        self.offsets = [sum(len(part) for part in self.parts[:index]) for index in range(len(self.parts))]

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __getitem__(self, index: int) -> tuple[Example, Example]:
        part = max(place for place, offset in enumerate(self.offsets) if offset <= index and len(self.parts[place]))
        return both_orders(self.parts[part][index - self.offsets[part]], self._decode, self._end, self._answer)


class BatchPlan(Sampler[list[int]]):
    """Index lists without end, epoch after epoch; the batches of all tasks are mixed within an epoch."""

    def __init__(self, examples: PairExamples, batch_pairs: int, seed: int, rank: int = 0, world: int = 1) -> None:
        if not len(examples):
            raise InvalidInputError("no samples to train on", hint="check dataset, version, tasks and dimensions")
        self._examples, self._size, self._seed = examples, batch_pairs, seed
        self._rank, self._world = rank, world

    def __iter__(self) -> Iterator[list[int]]:
        for epoch in count():
            yield from self.epoch(epoch)

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches of one epoch."""
        batches: list[list[int]] = []
        for part, offset in zip(self._examples.parts, self._examples.offsets, strict=True):
            part.set_epoch(epoch)
            indices = (part.plan(self._rank, self._world) + offset).tolist()
            batches += [indices[start:start + self._size] for start in range(0, len(indices), self._size)]
        return [batches[place] for place in epoch_order(len(batches), self._seed, epoch)]


class Collate:
    """Pairs of examples -> one batch of the family."""

    def __init__(self, family: Qwen3VL) -> None:
        self._family = family

    def __call__(self, pairs: Sequence[tuple[Example, Example]]) -> Batch:
        return self._family.encode([example for pair in pairs for example in pair])


def training_loader(examples: PairExamples, plan: BatchPlan, family: Qwen3VL) -> Any:
    """A StatefulDataLoader whose state_dict resumes at the exact batch; its own generator leaves torch's alone."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    return StatefulDataLoader(examples, batch_sampler=plan, collate_fn=Collate(family), generator=torch.Generator())
