"""Couples of raters that voted on the same pair: how many pairs they share, and on how many they say the same.

Votes stand in the order of their pairs, so couples are neighbours: the cost is that of the couples of votes, not the
square of the raters, and memory is read in order (products of sparse matrices, which jump about in it, take twice as
long at ten million votes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotation.ballots import Ballots, Flags, Ints


@dataclass(frozen=True, eq=False)
class Couples:
    """E couples of raters, `one` < `other`: votes on `shared` pairs, the same on `alike` of them, [E] each."""

    one: Ints
    other: Ints
    shared: Ints
    alike: Ints


def couples(votes: Ballots, mask: Flags) -> Couples:
    """Of the votes of `mask` [V], which are sorted by pair and rater, as all Ballots are."""
    pair, rater, label = votes.pair[mask], votes.rater[mask], votes.label[mask]
    size, met, step = len(votes.raters), [np.zeros(0, np.int64)], 1
    place = np.flatnonzero(pair[1:] == pair[:-1])
    while len(place):
        one, other = rater[place], rater[place + step]
        codes = (one * size + other) * 2 + (label[place] == label[place + step])
        met.append(codes[one != other])
        step += 1
        place = place[: np.searchsorted(place, len(pair) - step)]
        place = place[pair[place + step] == pair[place]]
    codes, number = np.unique(np.concatenate(met), return_counts=True)
    couple, at = np.unique(codes // 2, return_inverse=True)
    shared = np.bincount(at, weights=number, minlength=len(couple)).astype(np.int64)
    alike = np.bincount(at, weights=number * (codes % 2), minlength=len(couple)).astype(np.int64)
    return Couples(couple // size, couple % size, shared, alike)
