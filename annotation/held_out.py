"""Stage `held_out`: how well does each consensus foretell raters whose votes it has not seen?

Raters are dealt into folds; each consensus is fitted on the votes of the others and gives the chances of a, b and a tie
for one more rater; its loss is the mean of -log (nats) of what the raters left out said, on pairs that the others voted
on. `labels` is the yardstick that knows the shares of the labels and nothing of the pairs. Where the raters are two
populations, no single consensus foretells both: `camps` says so, and so do flagged pairs in the consensus.

The interval resamples the raters left out, since votes of one rater belong together; with few raters it is wide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pydantic import Field

from annotation.ballots import BOTH_BAD, TIE, Ballots, Floats, Ints
from annotation.bradley_terry import bradley_terry
from annotation.dawid_skene import dawid_skene
from annotation.election import Choice, read_election
from annotation.populations import camps
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.records import LABELS
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_LEAST = 1e-6
_RESAMPLES = 400


class HeldOutConfig(StageConfig):
    """Whose votes (campaigns and sources, both together), which dimensions (none = all), in how many folds of raters.

    As many folds as raters leave out one at a time.
    """

    campaign_ids: tuple[str, ...] = ()
    vote_sources: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    folds: int = Field(default=5, ge=2)
    seed: int = 0


@dataclass(frozen=True)
class Loss:
    """Mean loss in nats a vote with its interval (95 %), and on how many votes and raters it stands."""

    loss: float
    low: float
    high: float
    votes: int
    raters: int


def _three(shares: Floats) -> Floats:
    """Shares of a, b and a tie [N, 3] from those of LABELS [N, 4]."""
    return np.stack([shares[:, 0], shares[:, 1], shares[:, TIE] + shares[:, BOTH_BAD]], axis=1)


def _labels(votes: Ballots) -> Floats:
    counts = _three(votes.counts().sum(axis=0, keepdims=True).astype(np.float64)) + 1.0
    return np.repeat(counts / counts.sum(), len(votes.pairs), axis=0)


def _majority(votes: Ballots) -> Floats:
    """Shares of the pair's votes and one vote's worth of what is usual, so that three equal votes are not certainty."""
    counts = _three(votes.counts().astype(np.float64)) + _labels(votes)
    shares: Floats = counts / counts.sum(axis=1, keepdims=True)
    return shares


def _dawid_skene(votes: Ballots) -> Floats:
    """What the middle of the raters, by votes, would say of each possible truth."""
    shape = (len(votes.pairs), len(votes.raters), len(LABELS))
    found = dawid_skene(votes.pair, votes.rater, votes.label, shape, smoothing=1.0)
    weight = np.bincount(votes.rater, minlength=len(votes.raters)) / max(len(votes), 1)
    return _three(found.posterior @ np.tensordot(weight, found.confusion, 1))


def _bradley_terry(votes: Ballots, rate_raters: bool = True) -> Floats:
    first, second = votes.first[votes.pair], votes.second[votes.pair]
    shape = (len(votes.candidates), len(votes.raters))
    left = votes.left if rate_raters else None
    fit = bradley_terry(first, second, votes.rater, votes.label, shape, left=left, rate_raters=rate_raters)
    return fit.chances(votes.first, votes.second)


def _plain_bradley_terry(votes: Ballots) -> Floats:
    return _bradley_terry(votes, rate_raters=False)


METHODS: Mapping[str, Callable[[Ballots], Floats]] = {
    "labels": _labels,
    "majority": _majority,
    "dawid_skene": _dawid_skene,
    "bradley_terry_equal_raters": _plain_bradley_terry,
    "bradley_terry": _bradley_terry,
}


def _folds(votes: Ballots, folds: int, seed: int) -> Ints:
    """The fold of each rater [R]."""
    order = np.random.default_rng(seed).permutation(len(votes.raters))
    return order % min(folds, len(votes.raters))


def log_losses(votes: Ballots, folds: int = 5, seed: int = 0) -> dict[str, Loss]:
    """Of each method; nothing where fewer than two raters, or none of the others, voted on the same pairs."""
    said = np.minimum(votes.label, TIE)
    fold = _folds(votes, folds, seed)[votes.rater] if len(votes.raters) > 1 else np.zeros(len(votes), np.int64)
    losses: dict[str, Floats] = {name: np.full(len(votes), np.nan) for name in METHODS}
    for number in range(fold.max(initial=0) + 1 if len(votes.raters) > 1 else 0):
        held = fold == number
        others = votes.keep(~held)
        met = np.bincount(others.pair, minlength=len(votes.pairs)) > 0
        asked = np.flatnonzero(held & met[votes.pair])
        for name, method in METHODS.items() if len(asked) and len(others) else ():
            chance = method(others)[votes.pair[asked], said[asked]]
            losses[name][asked] = -np.log(np.maximum(chance, _LEAST))
    return {name: _summed(values, votes.rater) for name, values in losses.items() if not np.isnan(values).all()}


def _summed(values: Floats, rater: Ints) -> Loss:
    known = ~np.isnan(values)
    size = int(rater.max()) + 1
    total, number = np.bincount(rater[known], values[known], size), np.bincount(rater[known], minlength=size)
    drawn = np.random.default_rng(0).multinomial(size, np.full(size, 1.0 / size), _RESAMPLES)
    votes = drawn @ number
    means = (drawn @ total)[votes > 0] / votes[votes > 0]
    low, high = np.quantile(means, [0.025, 0.975])
    mean, least, most = (round(float(value), 6) for value in (values[known].mean(), low, high))
    return Loss(mean, least, most, votes=int(known.sum()), raters=int((number > 0).sum()))


def run(config: HeldOutConfig, warehouse: Warehouse) -> Receipt:
    """Outputs `loss` {dimension: {method: Loss}}, `best` and `camps` by dimension. Raises ConfigError without votes."""
    choice = Choice(config.campaign_ids, config.vote_sources, config.dimensions)
    election = read_election(warehouse, choice)
    if not election.parts:
        raise ConfigError("no votes to compare a consensus on", hint="name campaign_ids or vote_sources with votes")

    def body(recorder: Recorder) -> None:
        found: dict[str, dict[str, Any]] = {}
        camp: dict[str, int] = {}
        for done, (dimension, part) in enumerate(election.parts.items()):
            recorder.progress(done, len(election.parts), dimension)
            votes = part.only(~part.gold)
            losses = log_losses(votes, config.folds, config.seed)
            found[dimension] = {name: asdict(loss) for name, loss in losses.items()}
            camp[dimension] = int(camps(votes).max(initial=0)) + 1
        recorder.count("read", election.votes)
        recorder.output("loss", found)
        recorder.output("best", {name: min(part, key=lambda method: part[method]["loss"]) if part else None
                                 for name, part in found.items()})
        recorder.output("camps", camp)

    return run_stage("held_out", config, warehouse, {"votes": election.digest}, body)
