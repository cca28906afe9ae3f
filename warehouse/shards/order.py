"""In which order an epoch meets its samples, and who gets which: pure functions of seed, epoch, rank and world.

Global shuffle without a buffer: SplitMix64 (Steele, Lea & Flood, OOPSLA 2014) gives every index its own 64-bit key,
and the order is that of the keys. NumPy's generators are left out on purpose: their streams may change between
versions, and a run resumed elsewhere must go on in the same order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import InvalidInputError
from warehouse.hashing import content_id

Indices = NDArray[np.int64]


def epoch_order(samples: int, seed: int, epoch: int) -> Indices:
    """A permutation of 0 .. samples - 1."""
    state = np.uint64(int(content_id("epoch order", seed, epoch)[:16], 16))
    with np.errstate(over="ignore"):
        keys = (np.arange(1, samples + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) + state
        keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        keys = keys ^ (keys >> np.uint64(31))
    return np.argsort(keys, kind="stable").astype(np.int64)


def share(order: Indices, rank: int, world: int, start: int = 0) -> Indices:
    """What `rank` of `world` takes of order[start:]: every world-th entry, as many for each rank.

    Where `world` does not divide what is left, fewer than `world` entries from the beginning of `order` come again at
    the end (cyclically); everything else is taken exactly once. Nothing is shared out where nothing is left.
    Raises InvalidInputError for a rank outside 0 .. world - 1.
    """
    if not 0 <= rank < world:
        raise InvalidInputError(f"rank must lie in 0 .. world - 1, got rank {rank} of world {world}")
    left = order[start:]
    return np.concatenate([left, np.resize(order, -len(left) % world)])[rank::world]
