"""A batch of token rows, and how rows of different length become one.

Rows are right-padded numpy arrays, because making many small tensors costs more than a tiny model's forward pass.
Left out on purpose: which tokens stand where (one file per family).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rm.context import Example, PictureKey


@dataclass(frozen=True)
class Row:
    """Token ids [L] and their positions [3, L] (time, row, column)."""

    ids: NDArray[np.int64]
    places: NDArray[np.int64]


@dataclass
class Batch:
    """One right-padded batch. `features_of` says which distinct picture each image slot shows, in reading order.

    `keys` are those of `Frames.keys`, the same in every batch that shows a picture.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    pictures: list[Any]
    keys: list[PictureKey]
    features_of: list[int]
    verdict_index: Tensor
    labels: Tensor
    targets: Tensor
    ties: Tensor
    weights: Tensor


Answered = tuple[Row, Sequence[int], Sequence[int]]
"""A question's row, the tokens said before the verdict, and those from the verdict on."""


def pad(rows: Sequence[Answered], examples: Sequence[Example], pictures: list[Any], keys: list[PictureKey],
        features_of: list[int]) -> Batch:
    """One batch from each example's row and the tokens of its answer; labels are -100 outside answers."""
    longest = max(len(row.ids) + len(reason) + len(answer) for row, reason, answer in rows)
    ids = np.zeros((len(rows), longest), np.int64)
    mask = np.zeros((len(rows), longest), np.int64)
    places = np.zeros((3, len(rows), longest), np.int64)
    labels = np.full((len(rows), longest), -100, np.int64)
    for index, (row, reason, answer) in enumerate(rows):
        said = [*reason, *answer]
        start, end = len(row.ids), len(row.ids) + len(said)
        ids[index, :start] = row.ids
        mask[index, :end] = 1
        places[:, index, :start] = row.places
        if said:
            ids[index, start:end] = labels[index, start:end] = said
            places[:, index, start:end] = row.places.max() + 1 + np.arange(len(said))
    return Batch(torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(places), pictures, keys, features_of,
                 torch.tensor([len(row.ids) + len(reason) - 1 for row, reason, _ in rows]), torch.from_numpy(labels),
                 torch.tensor([float("nan") if e.target is None else e.target for e in examples]),
                 torch.tensor([e.tie for e in examples]), torch.tensor([e.weight for e in examples]))
