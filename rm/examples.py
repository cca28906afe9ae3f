"""Sample of a dataset version -> the two questions that it answers, one per order of its pair.

Every pair is asked in both orders with opposite targets, so that a preference for a place cannot be learned (OneReward,
arXiv 2508.21066, Eq. 3). The answer is the verdict first, then the rationale: RL reads the verdict's token only. A
rationale speaks of the winner and of no place (annotation/backend.py), so it holds in both orders.
"""

from __future__ import annotations

from typing import Protocol

from rm.context import Example, Frames, pairwise
from warehouse.shards import Sample

ANSWER = "{verdict} {rationale}"


class Decode(Protocol):
    """Media bytes to frames; `media_id` names the bytes."""

    def __call__(self, media_id: str, data: bytes) -> Frames: ...


def both_orders(sample: Sample, decode: Decode, end: str, answer: str = ANSWER) -> tuple[Example, Example]:
    """(image 1 = a, image 2 = b) and the other way round; targets are P(image 2 wins), 1 - p_a and p_a."""
    a, b = decode(sample.facts["media_a"], sample.a), decode(sample.facts["media_b"], sample.b)
    p_a = float(sample.facts["p_a"])
    return (
        pairwise(sample.instruction, sample.prompt, a, b, 1.0 - p_a, _answer(sample, "b", end, answer)),
        pairwise(sample.instruction, sample.prompt, b, a, p_a, _answer(sample, "a", end, answer)),
    )


def _answer(sample: Sample, image_2: str, end: str, answer: str) -> str | None:
    """Verdict and rationale where image 2 is candidate `image_2`; None without a rationale that names a winner."""
    winner = sample.facts["rationale_verdict"]
    if not sample.rationale or winner not in ("a", "b"):
        return None
    return answer.format(verdict="yes" if winner == image_2 else "no", rationale=sample.rationale) + end
