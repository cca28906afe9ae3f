"""Which couples teach a linear reward model most together: a sequential design on cached features.

A head on features learns log-odds(a beats b) = w . (x_a - x_b). After some votes its posterior is near a normal with
precision A = ridge I + sum p(1-p) g g' over the couples g asked (Laplace). What counts is not w but what it says about
couples: its mean variance over all that may be asked, each weighted by p(1-p), is tr(A^-1 M) with M the Fisher
information of a mean couple. Couples are taken one by one, each the one that lowers this trace most as if those before
it had been answered (V-optimality; Ash et al., Gone Fishing, NeurIPS 2021, without its backward steps), with the
rank-one update of Sherman and Morrison. So a batch does not ask the same thing many times, nor about directions in
which no couple of the pool differs much.
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
    information = (gap * worth[:, None]).T @ gap / max(len(gap), 1)
    covariance = np.linalg.inv(ridge * np.eye(gap.shape[1]) + (asked * _curve(asked_lead)[:, None]).T @ asked)
    variance = np.einsum("pd,de,pe->p", gap, covariance, gap)
    told = np.einsum("pd,de,pe->p", gap, covariance @ information @ covariance, gap)
    open_ones, order = np.ones(len(gap), bool), list[int]()
    while len(order) < min(wanted, len(gap)):
        best = int(np.argmax(np.where(open_ones, worth * told / (1.0 + worth * variance), -1.0)))
        order.append(best)
        open_ones[best] = False
        toward = covariance @ gap[best]
        step = worth[best] / (1.0 + worth[best] * gap[best] @ toward)
        along, across = gap @ toward, gap @ (covariance @ (information @ toward))
        told = told - step * along * (2.0 * across - step * (toward @ information @ toward) * along)
        variance = variance - step * along**2
        covariance = covariance - step * np.outer(toward, toward)
    return order


def _curve(lead: Floats) -> Floats:
    """p(1-p) of log-odds."""
    chance: Floats = 1.0 / (1.0 + np.exp(-np.clip(lead, -30.0, 30.0)))
    return chance * (1.0 - chance)
