"""Bradley-Terry losses of a pair's two rewards, one for each way to treat ties.

    soft     -p log s(d) - (1 - p) log s(-d)                      consensus shares; a tie is one half
    ties     Rao & Kupper (1967) with threshold k: P(win) = s(d - log k), P(tie) = the rest. VideoAlign (arXiv
             2501.13918) trains with k = 5; here the shares of win, tie and loss weigh the three terms
    win_tie  SoliReward (arXiv 2512.22170): as soft, with mu = 1 for a win and 0.5 for a tie of two good candidates;
             ties of two bad ones hurt there and are left out (examples.py gives them no weight)

d [N] is the lead of one candidate over the other, p [N] the wanted P(it wins) with ties as halves.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Ties = Literal["soft", "ties", "win_tie"]
K = 5.0
TIE_MARGIN = 0.05


def bradley_terry(leads: Tensor, p_wins: Tensor, p_tie: Tensor, ties: Ties = "soft") -> Tensor:
    """Loss of each lead [N], given P(win) with ties as halves [N] and P(tie) [N]."""
    if ties == "ties":
        return _with_ties(leads, p_wins - p_tie / 2, 1 - p_wins - p_tie / 2, p_tie)
    if ties == "win_tie":
        even = (p_wins - 0.5).abs() <= TIE_MARGIN
        p_wins = torch.where(even, torch.full_like(p_wins, 0.5), (p_wins > 0.5).to(p_wins.dtype))
    return F.binary_cross_entropy_with_logits(leads, p_wins, reduction="none")


def _with_ties(leads: Tensor, win: Tensor, loss: Tensor, tie: Tensor) -> Tensor:
    log_k = math.log(K)
    won, lost = F.logsigmoid(leads - log_k), F.logsigmoid(-leads - log_k)
    return -(win * won + loss * lost + tie * (won + lost + math.log(K * K - 1)))
