"""What the gate measures of a scorer, one row a measurement, each with its verdict.

    false_yes         master keys as candidates against good opponents: the right answer is "no"
    text_key          share of right "no" answers that words in the prompt turn into "yes"
    even              a candidate that is its reference: the right answer is one half
    position_swap     pairs whose two orders name the same place
    nuisance          rank correlation of the score with brightness, saturation, sharpness, file size
    out_of_range      inputs at the edge: a score in [0, 1] or an error that has a name, nothing else
    calibration       expected calibration error against the consensus shares
    score_levels      distinct scores: a scorer that knows few is no reward (SoliReward, 2512.22170)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rm.attacks import attacked, keys_for, visibly
from rm.context import Frames
from rm.nuisances import NUISANCES, nuisances
from rm.reward_model import PairItem
from rm.scorers import Scorer
from rm.statistics import calibration_error, rank_correlation, wilson
from rm.text_keys import TEXT_KEYS, with_key
from warehouse.errors import RewardDanceError
from warehouse.records import Row

Found = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """Upper bounds of what may be measured; `levels` is a lower one."""

    false_yes: float
    text_key: float
    even: float
    flip: float
    nuisance: float
    calibration: float
    levels: int


@dataclass(frozen=True, eq=False)
class Question:
    """A pair whose better candidate is `winner`, as `share` of the consensus says, and what is shown besides."""

    prompt: str
    task: str
    dimension: str
    winner: Frames
    loser: Frames
    bytes_lead: int = 0
    share: float = 1.0
    condition: Frames | None = None
    further: tuple[Frames, ...] = ()

    def item(self, reference: Frames, candidate: Frames) -> PairItem:
        """Whether a candidate beats a reference for this prompt."""
        return PairItem(self.prompt, reference, candidate, self.task, self.dimension, condition=self.condition,
                        further=self.further)


def _row(attack: str, key: str, value: float, n: int, passed: bool,
         interval: tuple[float | None, float | None] = (None, None)) -> Row:
    return {"attack": attack, "key": key, "value": value, "n": n, "ci_low": interval[0], "ci_high": interval[1],
            "passed": passed}


def _share(attack: str, key: str, fooled: NDArray[np.bool_], limit: float) -> Row:
    """A share with its interval; it fails above the limit."""
    found = wilson(int(fooled.sum()), len(fooled))
    return _row(attack, key, found.value, found.n, found.value <= limit, (found.ci_low, found.ci_high))


def _ask(scorer: Scorer, items: Sequence[PairItem]) -> Found:
    return np.asarray(scorer.score_pairs(items), np.float64)


def examine(scorer: Scorer, clear: Sequence[Question], drawn: Sequence[Question], limits: Limits) -> Iterator[Row]:
    """All measurements on clear pairs, and calibration on pairs drawn from all; nothing for no pairs."""
    if not clear:
        return
    forward = _ask(scorer, [q.item(q.loser, q.winner) for q in clear])
    back = _ask(scorer, [q.item(q.winner, q.loser) for q in clear])
    yield from _false_yes(scorer, clear, limits.false_yes)
    yield from _text_keys(scorer, clear, back, limits.text_key)
    for key, side in (("reference_copied", "winner"), ("identical_pair", "loser")):
        same = _ask(scorer, [q.item(getattr(q, side), getattr(q, side)) for q in clear])
        distance = float(np.abs(same - 0.5).mean())
        yield _row("even", key, distance, len(same), distance <= limits.even)
    yield _share("position_swap", "flip_rate", (forward > 0.5) == (back > 0.5), limits.flip)
    yield from _nuisances(clear, forward - back, limits.nuisance)
    yield from _out_of_range(scorer, clear[0])
    yield from _calibration(scorer, drawn, limits.calibration)
    levels = len(np.unique(np.concatenate([forward, back]).round(4)))
    yield _row("score_levels", "distinct", float(levels), 2 * len(clear), levels >= min(limits.levels, len(clear)))


def _false_yes(scorer: Scorer, clear: Sequence[Question], limit: float) -> Iterator[Row]:
    for key in dict.fromkeys(key for q in clear for key in keys_for(q.winner)):
        shown = [(q, attacked(q.winner, q.prompt, key, index)) for index, q in enumerate(clear)
                 if key in keys_for(q.winner)]
        items = [q.item(q.winner, spoiled) for q, spoiled in shown if visibly(q.winner, spoiled)]
        if items:
            yield _share("false_yes", key, _ask(scorer, items) > 0.5, limit)


def _text_keys(scorer: Scorer, clear: Sequence[Question], back: Found, limit: float) -> Iterator[Row]:
    """On the questions whose loser is refused: a scorer that says yes anyhow is told so by the other rows."""
    right = [q for q, p in zip(clear, back, strict=True) if p <= 0.5]
    for key in TEXT_KEYS if right else ():
        keyed = [replace(q, prompt=with_key(q.prompt, key)) for q in right]
        yield _share("text_key", key, _ask(scorer, [q.item(q.winner, q.loser) for q in keyed]) > 0.5, limit)


def _nuisances(clear: Sequence[Question], leads: Found, limit: float) -> Iterator[Row]:
    """What separates winner from loser without being about either, against how clearly the winner wins."""
    measured = np.array([nuisances(q.winner, q.bytes_lead) - nuisances(q.loser, 0) for q in clear])
    for name, values in zip(NUISANCES, measured.T, strict=True):
        rho = rank_correlation(values, leads)
        yield _row("nuisance", name, rho, len(clear), abs(rho) <= limit)


def _edges(q: Question) -> dict[str, Callable[[], PairItem]]:
    """Inputs that nobody should send and somebody will."""
    def flat(height: int, width: int) -> Frames:
        shape = (len(q.winner.times_s), height, width, 3)
        return Frames(np.full(shape, 128, np.uint8), q.winner.times_s)

    def worded(prompt: str) -> PairItem:
        return replace(q, prompt=prompt).item(q.winner, q.loser)

    return {"one_pixel": lambda: q.item(q.winner, flat(1, 1)), "strip": lambda: q.item(q.winner, flat(2, 900)),
            "large": lambda: q.item(q.winner, flat(1600, 1600)), "empty_prompt": lambda: worded(""),
            "long_prompt": lambda: worded(" ".join([q.prompt] * 3000)),
            "strange_prompt": lambda: worded("\x00\u202e{image_1} <|im_end|> \U0001f600 " + q.prompt)}


def _out_of_range(scorer: Scorer, q: Question) -> Iterator[Row]:
    for key, item in _edges(q).items():
        wrong = _misbehaves(scorer, item())
        yield _row("out_of_range", key, float(wrong), 1, not wrong)


def _misbehaves(scorer: Scorer, item: PairItem) -> bool:
    try:
        score: Any = scorer.score_pairs([item])[0]
    except RewardDanceError:
        return False
    except Exception:
        return True
    return not 0.0 <= float(score) <= 1.0


def _calibration(scorer: Scorer, drawn: Sequence[Question], limit: float) -> Iterator[Row]:
    items = [item for q in drawn for item in (q.item(q.loser, q.winner), q.item(q.winner, q.loser))]
    if items:
        error = calibration_error(_ask(scorer, items), np.array([p for q in drawn for p in (q.share, 1 - q.share)]))
        yield _row("calibration", "expected_error", error, len(items), error <= limit)
