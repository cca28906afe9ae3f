"""Which couples teach a linear reward model most together: sequential D-optimal design on cached features.

A head on features learns log-odds(a beats b) = w . (x_a - x_b). After some votes its posterior is near a normal with
precision A = ridge I + sum p(1-p) g g' over the couples g asked (Laplace); a vote on g tells about
1/2 log(1 + p(1-p) g' A^-1 g) about w. Couples are taken one by one, each as if those before it had been answered
(Wynn 1970, with the rank-one update of Sherman and Morrison), so that a batch does not ask the same
thing many times, and couples that only look alike to the model are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from annotation.ballots import Floats

Couple = tuple[str, str]
_KEPT = 48


def whitened(vectors: Mapping[str, Sequence[float]]) -> dict[str, Floats]:
    """Features [at most 48] of each candidate: principal axes, scaled to unit variance on the whole."""
    names = sorted(vectors)
    if not names:
        return {}
    raw = np.array([vectors[name] for name in names], np.float64)
    centred = raw - raw.mean(axis=0)
    _, scale, axes = np.linalg.svd(centred, full_matrices=False)
    kept = centred @ axes[: min(_KEPT, len(scale))].T
    spread = kept.std() or 1.0
    return dict(zip(names, kept / spread, strict=True))


def by_design(
    gap: Floats, lead: Floats, asked: Floats, asked_lead: Floats, wanted: int, ridge: float
) -> list[int]:
    """Rows of `gap` [P, D] in the order to be asked, `wanted` of them at most.

    `lead` [P] is what the model says now (log-odds), `asked` [M, D] are couples that are answered or will be, with
    `asked_lead` [M]; `ridge` is the precision of each weight's normal prior.
    """
    worth = _curve(lead)
    precision = ridge * np.eye(gap.shape[1]) + (asked * _curve(asked_lead)[:, None]).T @ asked
    covariance = np.linalg.inv(precision)
    variance = np.einsum("pd,de,pe->p", gap, covariance, gap)
    open_ones, order = np.ones(len(gap), bool), list[int]()
    while len(order) < min(wanted, len(gap)):
        best = int(np.argmax(np.where(open_ones, worth * variance, -1.0)))
        order.append(best)
        open_ones[best] = False
        along = covariance @ gap[best]
        step = worth[best] / (1.0 + worth[best] * gap[best] @ along)
        covariance = covariance - step * np.outer(along, along)
        variance = variance - step * (gap @ along) ** 2
    return order


def _curve(lead: Floats) -> Floats:
    """p(1-p) of log-odds."""
    chance: Floats = 1.0 / (1.0 + np.exp(-np.clip(lead, -30.0, 30.0)))
    return chance * (1.0 - chance)
