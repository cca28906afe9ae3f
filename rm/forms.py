"""The three forms of reward model: what is asked about a pair, and how its answers become P(candidate beats reference).

    pairwise    one question per order, both pictures in it; log-odds of yes are those of image 2 (RewardDance, Eq. 2)
    pointwise   one question per picture, "is it good?"; Bradley-Terry on the log-odds of yes plus a small cross-entropy
                of yes and no (arXiv 2509.08826, section on test-time scaling; the coefficient is not stated there)
    regressive  one reading per picture by a linear head; Bradley-Terry alone, the baseline the paper argues against

Each sample is two examples in every form. Consensus shares are the targets, so that a tie is worth one half on both
sides; the pointwise forms may treat ties otherwise (bradley_terry.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from rm.bradley_terry import Ties, bradley_terry
from rm.context import NO_CONTEXT, Context, Example, Frames, fill, pairwise
from rm.families.family import Family
from warehouse.errors import ConfigError

VERDICT_SHARE = 0.1
Odds = NDArray[np.float32]


def _verdict(family: Family, model: Any, states: Tensor) -> Tensor:
    return family.verdict.log_odds(model.lm_head(states))


def _head(family: Family, model: Any, states: Tensor) -> Tensor:
    reward: Tensor = model.reward_head(states.float()).squeeze(-1)
    return reward


@dataclass(frozen=True)
class Form:
    """How one form asks and reads; `read` turns states [B, width] of the answer's place into scores [B]."""

    name: str
    asks_pairs: bool
    instruction_form: str
    read: Callable[[Family, Any, Tensor], Tensor]
    verdict_share: float = 0.0

    def examples(self, template: str, prompt: str, a: Frames, b: Frames, p_a: float | None = None,
                 context: Context = NO_CONTEXT) -> tuple[Example, Example]:
        """Two examples of a pair: image 2 = b and image 2 = a, or a alone and b alone; targets are their P(wins)."""
        b_wins = None if p_a is None else 1.0 - p_a
        if self.asks_pairs:
            return (pairwise(template, prompt, a, b, b_wins, context=context),
                    pairwise(template, prompt, b, a, p_a, context=context))
        return (Example(fill(template, prompt, a, None, context), target=p_a),
                Example(fill(template, prompt, b, None, context), target=b_wins))

    def questions(self, template: str, prompt: str, reference: Frames, candidate: Frames,
                  context: Context = NO_CONTEXT) -> tuple[Example, ...]:
        """The examples that decide whether the candidate beats the reference."""
        if self.asks_pairs:
            return (pairwise(template, prompt, reference, candidate, context=context),)
        return tuple(Example(fill(template, prompt, shown, None, context)) for shown in (reference, candidate))

    def answered(self, scores: Any) -> Any:
        """Log-odds [N] that candidates win, from the scores of their `questions` one after the other."""
        return scores if self.asks_pairs else scores[1::2] - scores[::2]

    def both_orders(self, scores: Odds) -> Odds:
        """Log-odds [N, 2] that b beats a, and a beats b, from the scores [2 N] of `examples`."""
        pairs = scores.reshape(-1, 2)
        return pairs if self.asks_pairs else np.stack([pairs[:, 1] - pairs[:, 0], pairs[:, 0] - pairs[:, 1]], axis=1)

    def losses(self, scores: Tensor, targets: Tensor, tie: Tensor | None = None, ties: Ties = "soft") -> Tensor:
        """Cross-entropy of each example [2 N] against its P(wins) [2 N]; `tie` [2 N] is P(tie), None is nowhere."""
        if self.asks_pairs:
            return F.binary_cross_entropy_with_logits(scores, targets, reduction="none")
        leads = scores - scores.view(-1, 2).flip(1).reshape(-1)
        found = bradley_terry(leads, targets, torch.zeros_like(targets) if tie is None else tie, ties)
        if self.verdict_share:
            said = F.binary_cross_entropy_with_logits(scores, targets, reduction="none")
            found = found + self.verdict_share * said
        return found


FORMS = {form.name: form for form in (
    Form("pairwise", True, "pairwise", _verdict), Form("pointwise", False, "pointwise", _verdict, VERDICT_SHARE),
    Form("regressive", False, "pointwise", _head))}


def find_form(name: str) -> Form:
    """The form of a name; raises ConfigError."""
    if name not in FORMS:
        raise ConfigError(f"unknown form {name!r}", hint=f"one of {', '.join(FORMS)}")
    return FORMS[name]


def add_head(model: Any) -> nn.Linear:
    """A linear head on the language model's last state, even about everything at first."""
    width = int(model.config.get_text_config().hidden_size)
    head = nn.Linear(width, 1, device=model.device)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
    model.reward_head = head
    return head
