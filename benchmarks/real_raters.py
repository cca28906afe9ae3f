"""Five real workers: agreement at three levels of measurement, the order of five models, and each consensus foretold.

TIFA-160 (DSG, arXiv 2310.18235; Apache-2.0): 160 prompts x 5 models, Likert 1 to 5 by 5 workers. Alpha is held against
the krippendorff package (same number), the Bradley-Terry order of the models against their mean scores (Spearman). The
losses are nats a vote on one worker left out at a time; the peer is the majority. All ratings, `--quick` the first
forty prompts.
"""

from __future__ import annotations

import csv
import itertools
import sys
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from annotation.agreement import alpha, alpha_interval  # noqa: E402
from annotation.ballots import Ballots, Ints, ballots  # noqa: E402
from annotation.bradley_terry import bradley_terry  # noqa: E402
from annotation.held_out import log_losses  # noqa: E402
from annotation.populations import camps  # noqa: E402
from benchmarks._reporting import Row, arguments, finish  # noqa: E402

RATINGS = ROOT / "tests" / "data" / "tifa160-likert" / "tifa160-likert-anns.csv"
WHEN = datetime(2024, 1, 1)


def rated(prompts: int) -> list[dict[str, str]]:
    """Rows of the file about the first prompts."""
    with RATINGS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = set(sorted({row["item_id"] for row in rows})[:prompts])
    return [row for row in rows if row["item_id"] in chosen]


def score_counts(rows: list[dict[str, str]]) -> Ints:
    """How often each picture [N] got each score [5]."""
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * 5)
    for row in rows:
        found[row["item_id"], row["t2i_model"]][int(row["answer"]) - 1] += 1
    return np.array(list(found.values()), np.int64)


def pair_votes(rows: list[dict[str, str]], by_model: bool) -> Ballots:
    """One vote of each worker on each two pictures of a prompt: the higher score, or a tie.

    `by_model`: candidates are the models; else each picture is one.
    """
    sheets: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in rows:
        sheets[row["item_id"], row["worker_id"]][row["t2i_model"]] = int(row["answer"])
    votes: list[dict[str, Any]] = []
    for (item, worker), scores in sheets.items():
        for a, b in itertools.combinations(sorted(scores), 2):
            label = "tie" if scores[a] == scores[b] else "a" if scores[a] > scores[b] else "b"
            names = (a, b) if by_model else (f"{item}:{a}", f"{item}:{b}")
            votes.append({"vote_id": worker, "pair_id": f"{item}:{a}:{b}", "annotator_id": worker, "label": label,
                          "left_side": None, "updated_at": WHEN, "seconds": None, "gold": False,
                          "candidate_a": names[0], "candidate_b": names[1]})
    return ballots(votes)


def order(rows: list[dict[str, str]]) -> tuple[dict[str, float], dict[str, float]]:
    """Bradley-Terry strength and mean score of each model."""
    votes = pair_votes(rows, by_model=True)
    shape = (len(votes.candidates), len(votes.raters))
    fit = bradley_terry(votes.first[votes.pair], votes.second[votes.pair], votes.rater, votes.label, shape)
    scores: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        scores[row["t2i_model"]].append(int(row["answer"]))
    return (dict(zip(votes.candidates.to_pylist(), fit.strength.tolist(), strict=True)),
            {name: float(np.mean(values)) for name, values in scores.items()})


def main() -> None:
    """Rows of alpha, of the order, and of losses."""
    args = arguments(__doc__ or "")
    rows_read = rated(40 if args.quick else 160)
    counts, rows = score_counts(rows_read), []
    notes = []
    for level in ("nominal", "ordinal", "interval"):
        ours = alpha(counts, level, range(1, 6)) or 0.0
        theirs = float(krippendorff.alpha(value_counts=counts, value_domain=[1, 2, 3, 4, 5],
                                          level_of_measurement=level))
        low, high = alpha_interval(counts, level=level, values=range(1, 6)) or (0.0, 0.0)
        same = 1.0 - abs(ours - theirs)
        rows.append(Row(f"alpha {level}, {len(rows_read)} ratings", ours, theirs, same, "alpha", 1 - 1e-9,
                        same >= 1 - 1e-9))
        notes.append(f"alpha {level} {ours:.4f} ({low:.4f} to {high:.4f})")
    strength, mean = order(rows_read)
    names = sorted(strength, key=lambda name: -strength[name])
    rank = float(spearmanr([strength[name] for name in names], [mean[name] for name in names]).statistic)
    rows.append(Row("order of five models against mean scores", rank, None, rank, "Spearman", 0.9, rank >= 0.9))
    notes.append("order: " + ", ".join(f"{name} {strength[name]:.3f} (mean {mean[name]:.3f})" for name in names))
    votes = pair_votes(rows_read, by_model=False)
    losses = log_losses(votes, folds=5)
    for name, loss in losses.items():
        ratio = losses["majority"].loss / loss.loss
        rows.append(Row(f"loss on workers left out, {name}, {loss.votes} votes", loss.loss, losses["majority"].loss,
                        ratio, "nats a vote", 0.0 if name in ("labels", "majority") else 1.0,
                        name in ("labels", "majority") or ratio >= 1.0))
        notes.append(f"{name} {loss.loss:.4f} ({loss.low:.4f} to {loss.high:.4f})")
    pairs = alpha(votes.counts())
    notes.append(f"alpha of the pairs {pairs:.4f}; populations {int(camps(votes).max()) + 1} (six raters are needed)")
    finish("real_raters", rows, args, "\n\n".join(notes) + "\n\nCommand: `python benchmarks/real_raters.py`.\n")


if __name__ == "__main__":
    main()
