"""What can be read off a model's answers: accuracy, ties, flips, ceilings, nuisances, and the lead of one model.

Accuracy counts pairs whose consensus is no tie, with Wilson intervals: the two orders of a pair are not independent, so
that each pair counts once, half where only one order is right. With ties, the answer is a, b or tie, and a tie is
said where the margin is within a threshold that was chosen on other data (Deutsch et al., "Ties Matter", arXiv
2305.14324). Two models are compared on the same pairs, resampling whole prompts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rm.answers import Answers
from rm.nuisances import NUISANCES
from rm.statistics import NOTHING, Estimate, paired_bootstrap, rank_correlation, wilson

MARGINS = ((0.0, 0.2, "close"), (0.2, 0.35, "clear"), (0.35, 0.51, "unanimous"))
_A, _B, _TIE = 0, 1, 2


def accuracy(answers: Answers) -> dict[str, Any]:
    """Share of decided pairs answered as the consensus, {value, n, ci_low, ci_high}; n counts pairs."""
    chosen = answers.right[answers.decided]
    return wilson(float(chosen.mean(axis=1).sum()) if len(chosen) else 0.0, len(chosen)).as_json()


def slices(split: str, answers: Answers) -> dict[str, dict[str, Any]]:
    """Accuracy of a split as a whole, by dimension, task, source, margin of the consensus, and order (1: a first)."""
    found = {split: accuracy(answers)}
    for kind, names in (("dimension", answers.dimensions), ("task", answers.tasks), ("source", answers.sources)):
        for name in sorted(set(names)):
            found[f"{split}/{kind}={name}"] = accuracy(answers.rows(np.array(names) == name))
    margin = np.abs(answers.wanted[:, 0] - 0.5)
    for low, high, name in MARGINS:
        found[f"{split}/margin={name}"] = accuracy(answers.rows((margin >= low) & (margin < high)))
    for order in (0, 1):
        right = answers.right[answers.decided, order]
        found[f"{split}/order={order + 1}"] = wilson(float(right.sum()), len(right)).as_json()
    return found


def labels(answers: Answers) -> NDArray[np.int64]:
    """The consensus as 0 (a), 1 (b) or 2 (tie), whichever has the largest share, [N]; a draw of a and b is a tie."""
    shares = np.stack([answers.wanted[:, 1] - answers.ties / 2, answers.wanted[:, 0] - answers.ties / 2, answers.ties])
    found = shares.argmax(axis=0)
    return np.where(np.isclose(shares[_A], shares[_B]), _TIE, found)


def tie_threshold(answers: Answers) -> float | None:
    """The |log-odds| up to which a tie is said, so that most labels are met; None without answers."""
    if not len(answers.predicted):
        return None
    size, wanted = np.abs(answers.margins), labels(answers)
    order = np.argsort(size, kind="stable")
    sided = np.where(answers.margins > 0, _B, _A) == wanted
    # After the first k by size are called ties: ties met among them, sides met among the rest.
    ties_met = np.concatenate([[0], np.cumsum(wanted[order] == _TIE)])
    sides_met = np.concatenate([[0], np.cumsum(sided[order])])
    met = ties_met + sides_met[-1] - sides_met
    best = int(met.argmax())
    if best == 0:
        return 0.0
    after = size[order][best] if best < len(size) else size[order][-1]
    return float((size[order][best - 1] + after) / 2)


def accuracy_with_ties(answers: Answers, threshold: float | None) -> dict[str, Any]:
    """Share of all pairs whose label a, b or tie is met at a threshold; nothing without one."""
    if threshold is None or not len(answers.predicted):
        return NOTHING.as_json()
    said = np.where(np.abs(answers.margins) <= threshold, _TIE, np.where(answers.margins > 0, _B, _A))
    return wilson(float((said == labels(answers)).sum()), len(said)).as_json()


def flip_rate(answers: Answers) -> float | None:
    """Share of pairs whose two orders disagree about the winner; None for nothing."""
    if not len(answers.predicted):
        return None
    return float(np.mean((answers.predicted[:, 0] > 0.5) == (answers.predicted[:, 1] > 0.5)))


def annotator_ceiling(answers: Answers) -> float | None:
    """How often one annotator's vote agrees with the others' on the decided pairs; None where no pair has several."""
    known = answers.ceilings[answers.decided & ~np.isnan(answers.ceilings)]
    return float(known.mean()) if len(known) else None


def nuisance_correlations(answers: Answers) -> dict[str, float]:
    """Spearman's rho of the model's margins with each nuisance's lead; 0 where one side does not vary."""
    return {name: rank_correlation(answers.leads[:, index], answers.margins) for index, name in enumerate(NUISANCES)}


def compared(ours: Answers, theirs: Answers) -> Estimate:
    """Accuracy of `ours` minus that of `theirs` on the same decided pairs; whole prompts resampled, n counts them."""
    chosen = ours.decided
    prompts = [prompt for prompt, counted in zip(ours.prompts, chosen, strict=True) if counted]
    return paired_bootstrap(theirs.right[chosen].mean(axis=1), ours.right[chosen].mean(axis=1), prompts)
