"""How each rater does: known answers, agreement with the others, lean to a side, speed; and who is flagged.

Works on votes of all dimensions at once: a "pair" here is one question, a pair in one dimension. Agreement is with
the majority of the other voters of the same camp (populations.py), the rater left out, ties left out. The flags:

    spammer   fails known answers, or agrees with the others as a coin would rather than as the middle rater does
    copier    gives the same answers as one other rater, far beyond what the two share with anybody, and later
    left_bias prefers one side of the screen whatever is there
    fast      answers in less than a third of the usual time
    unsteady  gives another answer when the same question comes again the other way round

A flag needs evidence: shares are held against their Wilson interval (95 %), coin against middle rater is a likelihood
ratio of at least 100 (Wald's sequential test), and the copier's tail is divided by the number of couples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

from annotation.ballots import TIE, Ballots, Flags, Floats, Ints
from annotation.couples import couples

_Z = 1.96
_COIN_EVIDENCE = float(np.log(100.0))
_COPIER_TAIL = 0.001
_COPIER_SAME = 0.9


class QualityRules(BaseModel):
    """Thresholds, and which flags keep a rater out of the consensus."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    exclude: tuple[str, ...] = ("spammer", "copier")
    min_gold_accuracy: float = Field(default=0.75, ge=0.0, le=1.0)
    lean_limit: float = Field(default=0.2, ge=0.0, le=0.5)
    min_self_consistency: float = Field(default=0.6, ge=0.0, le=1.0)
    # Where more raters than this would go, the known answers or the campaign are at fault, not the raters.
    max_excluded_share: float = Field(default=0.34, ge=0.0, le=1.0)


@dataclass(frozen=True)
class RaterQuality:
    """Figures of one rater; None where there was nothing to measure."""

    votes: int
    gold_votes: int
    gold_accuracy: float | None
    agreement: float | None
    left_share: float | None
    median_seconds: float | None
    flags: tuple[str, ...]
    repeats: int = 0
    self_consistency: float | None = None


def wilson(successes: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Wilson's 95 % interval of a share; (0, 1) for n = 0."""
    total = np.maximum(n, 1.0)
    centre = (successes + _Z**2 / 2) / (total + _Z**2)
    reach = _Z / (total + _Z**2) * np.sqrt(successes * (total - successes) / total + _Z**2 / 4)
    return np.where(n > 0, centre - reach, 0.0), np.where(n > 0, centre + reach, 1.0)


def _share(successes: Floats, n: Floats) -> Floats:
    share: Floats = np.divide(successes, n, out=np.full(len(n), np.nan), where=n > 0)
    return share


def _per_rater(votes: Ballots, hits: Flags, asked: Flags) -> tuple[Floats, Floats]:
    size = len(votes.raters)
    successes = np.bincount(votes.rater[asked], weights=hits[asked].astype(float), minlength=size)
    return successes.astype(np.float64), np.bincount(votes.rater[asked], minlength=size).astype(np.float64)


def _with_others(votes: Ballots, camp: Ints) -> tuple[Floats, Floats]:
    """Votes that agree with the majority of the camp's other voters, and votes that had one."""
    sign = np.select([votes.label == 0, votes.label == 1], [1.0, -1.0], 0.0)
    cell = votes.pair * 2 + camp
    margin = np.bincount(cell, weights=sign, minlength=2 * len(votes.pairs))
    others = margin[cell] - sign
    asked = (votes.label < TIE) & (others != 0) & ~votes.gold
    return _per_rater(votes, others * sign > 0, asked)


def _copiers(votes: Ballots) -> set[int]:
    """Raters whose answers repeat one other rater's; only couples that share a question cost anything."""
    size, plain = len(votes.raters), ~votes.gold
    met = couples(votes, plain)
    if len(met.one) == 0:
        return set()
    alike, shared = ((np.bincount(met.one, number, size) + np.bincount(met.other, number, size)).astype(np.float64)
                     for number in (met.alike, met.shared))
    usual = _share(alike, shared)
    expected = np.fmax(usual[met.one], usual[met.other])
    tail = stats.binom.sf(met.alike - 1, met.shared, expected) * max(size**2 / 2, 1)
    close = (met.alike >= _COPIER_SAME * met.shared) & (tail < _COPIER_TAIL)
    ordinary = votes.keep(plain)
    return {_later(ordinary, int(x), int(y)) for x, y in zip(met.one[close], met.other[close], strict=True)}


def _later(votes: Ballots, one: int, other: int) -> int:
    """Which of two raters mostly answers after the other."""
    times = [dict(zip(votes.pair[m], votes.time_s[m], strict=True)) for m in (votes.rater == one, votes.rater == other)]
    after = [times[0][pair] - times[1][pair] for pair in times[0].keys() & times[1].keys()]
    return one if np.median(after) > 0 else other


def _medians(votes: Ballots) -> Floats:
    """Median seconds of each rater, NaN where no vote says how long it took."""
    known = ~np.isnan(votes.seconds)
    order = np.argsort(votes.rater[known], kind="stable")
    starts = np.searchsorted(votes.rater[known][order], np.arange(1, len(votes.raters)))
    groups = np.split(votes.seconds[known][order], starts)
    return np.array([np.median(group) if len(group) else np.nan for group in groups])


def _known(questions: pa.Array, gold: Mapping[str, int]) -> Ints:
    """The known answer of each question [N], -1 where there is none."""
    place = pc.index_in(questions, value_set=pa.array(list(gold), pa.string())).fill_null(len(gold)).to_numpy()
    answers: Ints = np.array([*gold.values(), -1], np.int64)[place]
    return answers


def rate(votes: Ballots, camp: Ints, gold: Mapping[str, int], rules: QualityRules) -> dict[str, RaterQuality]:
    """Figures and flags by rater id; `camp` [V] is 0 or 1, `gold` the label index of questions with known answers.

    Known answers are the larger camp's; where there are two camps they flag nobody.
    """
    known = _known(votes.pairs, gold)[votes.pair]
    right, gold_votes = _per_rater(votes, votes.label == known, known >= 0)
    agreed, compared = _with_others(votes, camp)
    chosen = (votes.label < TIE) & (votes.left != 0)
    lefts, sided = _per_rater(votes, (votes.label == 0) == (votes.left == 1), chosen)
    seconds = _medians(votes)
    flags = _flags(rules, (right, gold_votes), (agreed, compared), (lefts, sided), seconds, bool(camp.any()))
    for rater in _copiers(votes):
        flags[rater].append("copier")
    counts = np.bincount(votes.rater, minlength=len(votes.raters))
    accuracy, agreement, left_share = _share(right, gold_votes), _share(agreed, compared), _share(lefts, sided)
    return {
        name: RaterQuality(
            votes=int(counts[index]),
            gold_votes=int(gold_votes[index]),
            gold_accuracy=_figure(accuracy[index]),
            agreement=_figure(agreement[index]),
            left_share=_figure(left_share[index]),
            median_seconds=_figure(seconds[index]),
            flags=tuple(sorted(flags[index])),
        )
        for index, name in enumerate(votes.raters)
    }


def _coin_against_crowd(agreed: Floats, compared: Floats) -> Floats:
    """Log likelihood ratio of a coin's agreement to that of the middle rater; 0 where the crowd is none itself."""
    crowd = min(float(np.nanmedian(_share(agreed, compared))), 0.99) if compared.any() else 0.5
    if crowd <= 0.5:
        return np.zeros(len(agreed))
    ratio: Floats = agreed * np.log(0.5 / crowd) + (compared - agreed) * np.log(0.5 / (1.0 - crowd))
    return ratio


def with_repeats(
    ratings: Mapping[str, RaterQuality], steady: Mapping[str, tuple[float, int]], rules: QualityRules
) -> dict[str, RaterQuality]:
    """`ratings` with self-consistency, from each rater's score of repeated answers and their number (election.py)."""
    return {name: _steady(rating, *steady.get(name, (0.0, 0)), rules) for name, rating in ratings.items()}


def _steady(rating: RaterQuality, score: float, repeats: int, rules: QualityRules) -> RaterQuality:
    if not repeats:
        return rating
    high = wilson(np.array([score]), np.array([float(repeats)]))[1][0]
    flags = {*rating.flags, "unsteady"} if high < rules.min_self_consistency else rating.flags
    share = round(score / repeats, 4)
    return replace(rating, repeats=repeats, self_consistency=share, flags=tuple(sorted(flags)))


Part = tuple[Floats, Floats]


def _figure(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def _flags(rules: QualityRules, gold: Part, others: Part, lefts: Part, seconds: Floats, camps: bool) -> list[list[str]]:
    fails = (wilson(*gold)[1] < rules.min_gold_accuracy) & (not camps)
    coin = _coin_against_crowd(*others) > _COIN_EVIDENCE
    low, high = wilson(*lefts)
    leans = (low > 0.5 + rules.lean_limit) | (high < 0.5 - rules.lean_limit)
    usual = np.nanmedian(seconds) if (~np.isnan(seconds)).any() else np.nan
    fast = seconds < usual / 3
    named = {"spammer": fails | coin, "left_bias": leans, "fast": fast}
    return [[name for name, mask in named.items() if mask[index]] for index in range(len(seconds))]


def excluded(ratings: Mapping[str, RaterQuality], rules: QualityRules) -> tuple[list[str], bool]:
    """Raters to leave out, and True where they would be so many that nobody is."""
    out = sorted(name for name, rating in ratings.items() if set(rating.flags) & set(rules.exclude))
    suspect = len(out) > rules.max_excluded_share * len(ratings)
    return ([], True) if suspect else (out, False)
