"""Votes saved by stopping at certainty against a fixed number of votes a pair, at the same accuracy of the consensus.

Simulated raters (simulation/raters.py: noise by difficulty, lean, ties, fatigue; one in ten a spammer) vote on pairs of
known utilities. Fixed: every pair gets k votes. Stopping: every pair gets two, then one more a round where the
certainty is below the limit, up to seven. Both are merged by Dawid-Skene. The peer's figure is the number of votes a
pair at which the fixed scheme, interpolated between whole numbers, is as accurate. Means over seeds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from annotation.ballots import Floats, Ints  # noqa: E402
from annotation.dawid_skene import dawid_skene  # noqa: E402
from annotation.stopping import StoppingRules, certainty, judge  # noqa: E402
from benchmarks._reporting import Row, arguments, finish  # noqa: E402
from simulation.raters import answer, make_rater  # noqa: E402
from warehouse.records import LABELS  # noqa: E402

LIMITS, MOST, RATERS = (0.8, 0.9, 0.95), 7, 30
_SHOWN = {"left": "a", "right": "b"}


def crowd(pairs: int, seed: int) -> tuple[Ints, Ints, Ints]:
    """Who answers the turns of each pair, what they say (index of LABELS), both [N, MOST]; and what is true [N]."""
    rng = np.random.default_rng(seed)
    behaviours = ["spammer" if index % 10 == 0 else "careful" for index in range(RATERS)]
    raters = [make_rater("bench", index, seed, "", name, 0.06) for index, name in enumerate(behaviours)]
    utilities = np.clip(rng.normal(0.6, 0.12, (pairs, 2)), 0, 1)
    turns = np.argsort(rng.random((pairs, RATERS)), axis=1)[:, :MOST]
    said = np.empty((pairs, MOST), np.int64)
    for pair in range(pairs):
        for turn in range(MOST):
            label, _ = answer(raters[turns[pair, turn]], f"{seed}-{pair}", "overall", *utilities[pair])
            said[pair, turn] = LABELS.index(_SHOWN.get(label, label))
    return turns.astype(np.int64), said, (utilities[:, 1] > utilities[:, 0]).astype(np.int64)


def posterior(turns: Ints, said: Ints, votes: Ints) -> Floats:
    """Dawid-Skene over the first `votes` [N] answers of each pair, [N, K]."""
    pair, turn = np.nonzero(np.arange(MOST) < votes[:, None])
    shape = (len(turns), RATERS, len(LABELS))
    return dawid_skene(pair.astype(np.int64), turns[pair, turn], said[pair, turn], shape, smoothing=1.0).posterior


def accuracy(found: Floats, truth: Ints) -> float:
    """Share of pairs whose better candidate is the likelier one; an even chance counts half."""
    lead = found[:, 0] - found[:, 1]
    right = np.where(truth == 0, lead > 0, lead < 0) + 0.5 * (lead == 0)
    return float(right.mean())


def stopped(turns: Ints, said: Ints, limit: float) -> tuple[Ints, Floats]:
    """Votes a pair and the last posterior under the stopping rule."""
    votes = np.full(len(turns), 2, np.int64)
    rules = StoppingRules(certainty=limit, max_votes=MOST)
    while True:
        found = posterior(turns, said, votes)
        counts = (said[:, :, None] == np.arange(len(LABELS))) & (np.arange(MOST) < votes[:, None])[:, :, None]
        more = judge(certainty(found, counts.sum(axis=1)), votes, rules, int(votes.sum())).more
        if len(more) == 0:
            return votes, found
        votes[more] += 1


def measure(pairs: int, seeds: int) -> tuple[Floats, Floats]:
    """Accuracy of 1 to MOST fixed votes [S, MOST]; (votes a pair, accuracy) of each limit [S, L, 2]."""
    fixed, ours = np.empty((seeds, MOST)), np.empty((seeds, len(LIMITS), 2))
    for seed in range(seeds):
        turns, said, truth = crowd(pairs, seed)
        for k in range(MOST):
            fixed[seed, k] = accuracy(posterior(turns, said, np.full(pairs, k + 1, np.int64)), truth)
        for index, limit in enumerate(LIMITS):
            votes, found = stopped(turns, said, limit)
            ours[seed, index] = votes.mean(), accuracy(found, truth)
    return fixed, ours


def main() -> None:
    """Two rows a limit: votes against the fixed scheme of the same accuracy, accuracy against all votes."""
    args = arguments(__doc__ or "")
    pairs, seeds = (400, 2) if args.quick else (3000, 5)
    fixed, ours = measure(pairs, seeds)
    curve, rows = np.maximum.accumulate(fixed.mean(axis=0)), []
    for index, limit in enumerate(LIMITS):
        votes, right = (float(value) for value in ours[:, index].mean(axis=0))
        needed = float(np.interp(right, curve, np.arange(1, MOST + 1)))
        size = f"{pairs} pairs, {seeds} seeds, certainty {limit}"
        rows.append(Row(f"votes a pair, {size}", votes, needed, needed / votes, "votes", 1.2, needed / votes >= 1.2))
        share = right / float(curve[-1])
        rows.append(Row(f"accuracy against {MOST} votes, {size}", right, float(curve[-1]), share, "accuracy", 0.98,
                        share >= 0.98))
    told = ", ".join(f"{k + 1}: {value:.4f}" for k, value in enumerate(fixed.mean(axis=0)))
    spread = ", ".join(f"{limit}: {ours[:, i, 1].std(ddof=1):.4f}" for i, limit in enumerate(LIMITS))
    notes = (f"Accuracy of fixed votes a pair: {told}.\n\nStandard deviation of our accuracy over seeds, by limit: "
             f"{spread}.\n\nCommand: `python benchmarks/stopping.py`.\n")
    finish("stopping", rows, args, notes)


if __name__ == "__main__":
    main()
