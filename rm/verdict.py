"""The two words of the verdict: their token ids, and P(yes) from logits.

reward = P(yes) / (P(yes) + P(no)), summed over every variant of each word (case, leading space), in float32
(arXiv 2509.08826, Eq. 2). A tokenizer in which a variant of one word is also one of the other, or no variant is a
single token, is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from warehouse.errors import ConfigError


@dataclass(frozen=True)
class Verdict:
    """Token ids of all single-token variants; the first of each is the one that is trained."""

    yes: tuple[int, ...]
    no: tuple[int, ...]

    def log_odds(self, logits: Tensor) -> Tensor:
        """log P(yes) - log P(no) in float32, [B], from logits [B, V]."""
        logits = logits.float()
        return logits[:, list(self.yes)].logsumexp(-1) - logits[:, list(self.no)].logsumexp(-1)

    def p_yes(self, logits: Tensor) -> Tensor:
        """P(yes) over both words [B] in (0, 1), float32, from logits [B, V]."""
        return torch.sigmoid(self.log_odds(logits))


def _variants(tokenizer: Any, word: str) -> tuple[int, ...]:
    found: list[int] = []
    for text in (word, word.capitalize(), word.upper(), f" {word}", f" {word.capitalize()}"):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        if len(ids) == 1 and ids[0] != tokenizer.unk_token_id and ids[0] not in found:
            found.append(ids[0])
    return tuple(found)


def find_verdict(tokenizer: Any, yes: str = "yes", no: str = "no") -> Verdict:
    """Verdict tokens of a tokenizer; raises ConfigError where they are missing or shared."""
    verdict = Verdict(_variants(tokenizer, yes), _variants(tokenizer, no))
    if not verdict.yes or not verdict.no:
        message = f"{yes!r} or {no!r} is not a single token of this tokenizer"
        raise ConfigError(message, hint="choose other verdict words")
    if set(verdict.yes) & set(verdict.no):
        raise ConfigError(f"{yes!r} and {no!r} share a token in this tokenizer", hint="choose other verdict words")
    return verdict
