"""A model's answers to the samples of a split, in both orders, beside what people said about them.

Left out on purpose: what can be read off them (measures.py), rows and pages (evaluate.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rm.bradley_terry import TIE_MARGIN
from rm.loader import FrameCache
from rm.nuisances import NUISANCES, nuisances
from rm.reward_model import PairItem, RewardModel, Scores, sigmoid
from rm.scorers import Scorer
from warehouse.hashing import sha256_hex
from warehouse.shards import Sample, ShardDataset

_BLOCK = 256
_NAMES = {"dimensions": "dimension", "tasks": "task", "sources": "source", "prompts": "prompt_id"}


@dataclass(frozen=True, eq=False)
class Answers:
    """P(image 2 wins) and the wanted one, [N, 2] for both orders of N samples, and what each is about.

    `ties` [N] is the consensus's P(tie), `ceilings` [N] how often one vote agrees with the other votes (NaN where there
    are no others), `leads` [N, 4] how far b's nuisances exceed a's.
    """

    predicted: NDArray[np.float64]
    wanted: NDArray[np.float64]
    ties: NDArray[np.float64]
    ceilings: NDArray[np.float64]
    leads: NDArray[np.float64]
    dimensions: tuple[str, ...]
    tasks: tuple[str, ...]
    sources: tuple[str, ...]
    prompts: tuple[str, ...]

    def rows(self, chosen: NDArray[np.bool_]) -> Answers:
        """The samples where `chosen` [N] holds."""
        index = np.flatnonzero(chosen)
        held: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        kept: dict[str, Any] = {name: tuple(value[i] for i in index) if isinstance(value, tuple) else value[index]
                                for name, value in held.items()}
        return Answers(**kept)

    @property
    def decided(self) -> NDArray[np.bool_]:
        """Samples [N] whose consensus is no tie."""
        return np.abs(self.wanted[:, 0] - 0.5) > TIE_MARGIN

    @property
    def right(self) -> NDArray[np.bool_]:
        """Answers [N, 2] on the consensus's side."""
        found: NDArray[np.bool_] = (self.predicted > 0.5) == (self.wanted > 0.5)
        return found

    @property
    def margins(self) -> NDArray[np.float64]:
        """Log-odds [N] that b beats a, the mean of both orders."""
        p = self.predicted.clip(1e-7, 1 - 1e-7)
        odds = np.log(p) - np.log1p(-p)
        found: NDArray[np.float64] = (odds[:, 0] - odds[:, 1]) / 2
        return found


def joined(parts: list[Answers]) -> Answers:
    """All samples of several splits."""
    held = {each.name: [getattr(part, each.name) for part in parts] for each in fields(Answers)}
    whole: dict[str, Any] = {name: sum(values, ()) if isinstance(values[0], tuple) else np.concatenate(values)
                             for name, values in held.items()}
    return Answers(**whole)


def ask(scorer: Scorer, dataset: ShardDataset, limit: int) -> Answers:
    """Both orders of the first `limit` samples, 0 = all; somebody else's scorer is asked in its own words."""
    count = min(len(dataset), limit or len(dataset))
    decode = FrameCache(scorer.max_frames)
    predicted, leads = np.zeros((count, 2)), np.zeros((count, len(NUISANCES)))
    facts: list[dict[str, Any]] = []
    for start in range(0, count, _BLOCK):
        samples = [dataset[index] for index in range(start, min(start + _BLOCK, count))]
        span = slice(start, start + len(samples))
        predicted[span] = _answers(scorer, samples, decode)
        leads[span] = [_lead(sample, decode) for sample in samples]
        facts += [sample.facts for sample in samples]
    p_a = np.array([float(each["p_a"]) for each in facts])
    return Answers(predicted, np.stack([1 - p_a, p_a], axis=1).reshape(count, 2),
                   np.array([float(each["p_tie"]) for each in facts]), np.array([ceiling(each) for each in facts]),
                   leads, **{name: tuple(str(each[fact]) for each in facts) for name, fact in _NAMES.items()})


def _answers(scorer: Scorer, samples: Sequence[Sample], decode: FrameCache) -> Scores:
    """P(b beats a) and P(a beats b) [N, 2]."""
    if isinstance(scorer, RewardModel):
        asking = scorer.asking
        examples = [example for sample in samples for example in asking.examples(sample, decode)]
        return sigmoid(scorer.form.both_orders(scorer.scores(examples)))
    items = [item for sample in samples for item in _items(sample, decode)]
    return scorer.score_pairs(items).reshape(-1, 2)


def _items(sample: Sample, decode: FrameCache) -> tuple[PairItem, PairItem]:
    a, b = (decode(str(sample.facts[f"media_{side}"]), data) for side, data in (("a", sample.a), ("b", sample.b)))
    start = None if sample.condition is None else decode(f"sha256:{sha256_hex(sample.condition)}", sample.condition)
    item = PairItem(sample.prompt, a, b, str(sample.facts["task"]), str(sample.facts["dimension"]), condition=start)
    return item, replace(item, reference=b, candidate=a)


def _lead(sample: Sample, decode: FrameCache) -> NDArray[np.float64]:
    a, b = (nuisances(decode(str(sample.facts[f"media_{side}"]), data), len(data))
            for side, data in (("a", sample.a), ("b", sample.b)))
    return b - a


def ceiling(facts: dict[str, Any]) -> float:
    """How often one vote of a pair sides with the majority of its other votes, an even split counting half.

    Votes for neither side say nothing about a side and are left out; NaN with fewer than two others.
    """
    a, b = int(facts["n_a"]), int(facts["n_b"])
    if a + b < 2:
        return float("nan")
    found = a * _sided(a - 1, b) + b * _sided(b - 1, a)
    return found / (a + b)


def _sided(with_it: int, against: int) -> float:
    return 0.5 if with_it == against else float(with_it > against)
