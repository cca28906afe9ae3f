"""A model's answers to the samples of a split, in both orders, and what can be read off them.

Accuracy counts questions whose consensus is no tie, with Wilson intervals; flip rate is the share of pairs whose two
orders name different winners; two models are compared on the same pairs, resampling whole prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rm.loader import FrameCache
from rm.reward_model import RewardModel, sigmoid
from rm.statistics import Estimate, paired_bootstrap, wilson
from rm.validation import TIE_MARGIN
from warehouse.shards import ShardDataset

_BLOCK = 256
MARGINS = ((0.0, 0.2, "close"), (0.2, 0.35, "clear"), (0.35, 0.51, "unanimous"))


@dataclass(frozen=True, eq=False)
class Answers:
    """P(image 2 wins) and the wanted one, [N, 2] for both orders of N samples, and what each is about."""

    predicted: NDArray[np.float64]
    wanted: NDArray[np.float64]
    dimensions: tuple[str, ...]
    tasks: tuple[str, ...]
    prompts: tuple[str, ...]

    def rows(self, chosen: NDArray[np.bool_]) -> Answers:
        """The samples where `chosen` [N] holds."""
        index = np.flatnonzero(chosen)
        named = (tuple(names[i] for i in index) for names in (self.dimensions, self.tasks, self.prompts))
        return Answers(self.predicted[index], self.wanted[index], *named)

    @property
    def decided(self) -> NDArray[np.bool_]:
        """Samples [N] whose consensus is no tie."""
        return np.abs(self.wanted[:, 0] - 0.5) > TIE_MARGIN

    @property
    def right(self) -> NDArray[np.bool_]:
        """Answers [N, 2] on the consensus's side."""
        found: NDArray[np.bool_] = (self.predicted > 0.5) == (self.wanted > 0.5)
        return found


def joined(parts: list[Answers]) -> Answers:
    """All samples of several splits."""
    return Answers(np.concatenate([part.predicted for part in parts]), np.concatenate([part.wanted for part in parts]),
                   *(tuple(name for part in parts for name in getattr(part, field))
                     for field in ("dimensions", "tasks", "prompts")))


def ask(model: RewardModel, dataset: ShardDataset, limit: int) -> Answers:
    """Both orders of the first `limit` samples, 0 = all."""
    count = min(len(dataset), limit or len(dataset))
    decode = FrameCache(model.card.max_frames)
    asking = model.asking
    predicted, p_a = np.zeros((count, 2)), np.zeros(count)
    facts: list[dict[str, Any]] = []
    for start in range(0, count, _BLOCK):
        samples = [dataset[index] for index in range(start, min(start + _BLOCK, count))]
        examples = [example for sample in samples for example in asking.examples(sample, decode)]
        span = slice(start, start + len(samples))
        predicted[span] = sigmoid(model.form.both_orders(model.scores(examples)))
        p_a[span] = [float(sample.facts["p_a"]) for sample in samples]
        facts += [sample.facts for sample in samples]
    named = (tuple(str(each[name]) for each in facts) for name in ("dimension", "task", "prompt_id"))
    return Answers(predicted, np.stack([1 - p_a, p_a], axis=1), *named)


def accuracy(answers: Answers) -> dict[str, Any]:
    """Share of decided questions answered as the consensus, {value, n, ci_low, ci_high}; n counts pairs.

    The two orders of a pair are not independent: each pair counts once, half where only one order is right.
    """
    chosen = answers.right[answers.decided]
    return wilson(float(chosen.mean(axis=1).sum()) if len(chosen) else 0.0, len(chosen)).as_json()


def flip_rate(answers: Answers) -> float | None:
    """Share of pairs whose two orders disagree about the winner; None for nothing."""
    if not len(answers.predicted):
        return None
    return float(np.mean((answers.predicted[:, 0] > 0.5) == (answers.predicted[:, 1] > 0.5)))


def one_annotator(answers: Answers) -> float | None:
    """How often one vote agrees with the consensus it is part of: a ceiling to compare with; None for nothing."""
    shares = answers.wanted[answers.decided].max(axis=1, initial=0.0)
    return float(shares.mean()) if len(shares) else None


def slices(split: str, answers: Answers) -> dict[str, dict[str, Any]]:
    """Accuracy of a split as a whole, by dimension, task, margin of the consensus, and order (image 1 = a first)."""
    found = {split: accuracy(answers)}
    for kind, names in (("dimension", answers.dimensions), ("task", answers.tasks)):
        for name in sorted(set(names)):
            found[f"{split}/{kind}={name}"] = accuracy(answers.rows(np.array(names) == name))
    margin = np.abs(answers.wanted[:, 0] - 0.5)
    for low, high, name in MARGINS:
        found[f"{split}/margin={name}"] = accuracy(answers.rows((margin >= low) & (margin < high)))
    for order in (0, 1):
        right = answers.right[answers.decided, order]
        found[f"{split}/order={order + 1}"] = wilson(float(right.sum()), len(right)).as_json()
    return found


def compared(ours: Answers, theirs: Answers) -> Estimate:
    """Accuracy of `ours` minus that of `theirs` on the same decided pairs; whole prompts resampled, n counts them."""
    chosen = ours.decided
    prompts = [prompt for prompt, counted in zip(ours.prompts, chosen, strict=True) if counted]
    return paired_bootstrap(theirs.right[chosen].mean(axis=1), ours.right[chosen].mean(axis=1), prompts)
