"""Votes saved by choosing pairs: a reward model's accuracy on unseen prompts, by strategy and number of votes.

The simulation draws prompts with four pictures each, some near misses, some damaged (simulation/pretrain/pictures.py);
careful raters with a taste of their own vote once a pair. The reward model is an ensemble of heads on cached features
of the committed vision-language model (rm/ensemble.py), trained again after every round; what it says about each couple
chooses the next round's pairs (annotation/standings.py, pairing.py), some of them at random. Accuracy is agreement
with the gold utility on pairs of unseen prompts that differ by more than 0.04. The target: what random pairs reach
with all votes, with at most 70 % of them. Five seeds (prompts stay, raters and choices differ), mean and 95 % interval
by Student's t.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from annotation.ballots import Floats, Ints  # noqa: E402
from annotation.pairing import PairingConfig, uncertain  # noqa: E402
from annotation.standings import Couple, Standing, Standings  # noqa: E402
from benchmarks._reporting import Row, arguments, finish  # noqa: E402
from rm.candidate_features import candidate_features  # noqa: E402
from rm.context import Frames  # noqa: E402
from rm.ensemble import fit_heads, judged  # noqa: E402
from rm.reward_model import load_reward_model  # noqa: E402
from simulation.gold import score_frames  # noqa: E402
from simulation.pretrain.pictures import chunk  # noqa: E402
from simulation.raters import answer, make_rater  # noqa: E402
from simulation.tastes import utility  # noqa: E402

WEIGHTS = ROOT / "simulation" / "weights" / "vlm_middle"
TASTE, CLEAR, TARGET_SHARE, HEADS, RIDGE, RATERS = "large_warm", 0.04, 0.7, 6, 30.0, 24
# Strategy: how couples are chosen, and the share of each round that is drawn at random.
STRATEGIES = {"random": ("information", 1.0), "entropy": ("entropy", 0.25), "information": ("information", 0.25),
              "design": ("design", 0.25), "design, a tenth at random": ("design", 0.1)}
QUESTION = "overall quality . image 1 {image_1} prompt : {prompt} . is image 1 good ?"


@dataclass(frozen=True, eq=False)
class World:
    """Couples of the prompts that may be asked about and of the unseen ones; features [C, D], utilities [C]."""

    features: Floats
    utility: Floats
    couples: Ints
    unseen: Ints


def world(prompts: int) -> World:
    """Half of the prompts are unseen. Features are whitened to unit variance."""
    shown = chunk(7, 0, prompts, False, None)
    asked = [(spec.text(), Frames(picture.pixels)) for spec, pictures in shown for picture in pictures]
    model = load_reward_model(WEIGHTS.parent, str(WEIGHTS))
    raw = candidate_features(model, asked, QUESTION).astype(np.float64)
    centred = raw - raw.mean(axis=0)
    _, scale, axes = np.linalg.svd(centred, full_matrices=False)
    kept = min(48, len(scale))
    features = centred @ axes[:kept].T
    gold = np.array([utility(score_frames(frames.pixels, text), TASTE, "overall") for text, frames in asked])
    tries = len(asked) // prompts
    couples = np.array([(tries * p + i, tries * p + j) for p in range(prompts)
                        for i, j in itertools.combinations(range(tries), 2)], np.int64)
    held = couples[:, 0] >= tries * (prompts // 2)
    clear = np.abs(gold[couples[:, 0]] - gold[couples[:, 1]]) > CLEAR
    return World(features / features.std(), gold, couples[~held], couples[held & clear])


def name(couple: Ints) -> Couple:
    """Ids that sort as the numbers do."""
    return f"c{couple[0]:06d}", f"c{couple[1]:06d}"


def shares(at: World, couples: Ints, seed: int) -> Floats:
    """One vote a couple as the share of a: 1, 0, or 1/2 for a tie."""
    raters = [make_rater("bench", index, seed, TASTE, "careful", 0.06) for index in range(RATERS)]
    values = []
    for x, y in couples:
        rater = raters[int(np.random.default_rng((seed, int(x), int(y))).integers(RATERS))]
        label, _ = answer(rater, f"{seed}-{x}-{y}", "overall", at.utility[x], at.utility[y])
        values.append({"left": 1.0, "right": 0.0}.get(label, 0.5))
    return np.array(values, np.float64)


def accuracy(at: World, weights: Floats) -> float:
    """On unseen clear couples, by the first head, which learned from all votes."""
    gap = (at.features[at.unseen[:, 0]] - at.features[at.unseen[:, 1]]) @ weights[0]
    truth = at.utility[at.unseen[:, 0]] - at.utility[at.unseen[:, 1]]
    return float((gap * truth > 0).mean())


def curve(at: World, strategy: str, rounds: int, each: int, seed: int) -> Floats:
    """Accuracy after each round of `each` votes, [rounds]."""
    gap = at.features[at.couples[:, 0]] - at.features[at.couples[:, 1]]
    features = {f"c{index:06d}": row for index, row in enumerate(at.features)}
    place = {name(couple): index for index, couple in enumerate(at.couples)}
    chosen: list[int] = []
    weights, found = np.zeros((HEADS, gap.shape[1])), []
    for number in range(rounds):
        met = frozenset(name(at.couples[index]) for index in chosen)
        _, doubt = judged(weights, gap)
        lead = gap @ weights.mean(axis=0)
        criterion, chance = STRATEGIES[strategy]
        # A design needs no votes to begin with; the others know nothing before the first ones.
        chance = chance if number or criterion == "design" else 1.0
        config = PairingConfig(strategy="uncertainty", random_share=chance, seed=100 * seed + number,
                               criterion=criterion, ridge=RIDGE)
        between = {couple: Standing(float(lead[i]), float(doubt[i]) ** 2) for couple, i in place.items()}
        standings = Standings({}, met, between)
        chosen += [place[couple] for couple in uncertain(list(place), standings, each, config, features)]
        p_a = shares(at, at.couples[chosen], seed)
        weights = fit_heads(gap[chosen], p_a, np.ones(len(chosen)), HEADS, RIDGE, seed)
        found.append(accuracy(at, weights))
    return np.array(found)


def needed(curve_of: Floats, goal: float, each: int) -> float:
    """Votes at which a curve first reaches the goal, between rounds by a line; infinite where it never does."""
    best = np.maximum.accumulate(curve_of)
    at = int(np.argmax(best >= goal))
    if best[at] < goal:
        return float("inf")
    if at == 0 or best[at] == best[at - 1]:
        return float(each * (at + 1))
    return float(each * (at + (goal - best[at - 1]) / (best[at] - best[at - 1])))


def main() -> None:
    """A row of votes for each choosing strategy; accuracy with all votes beside it; the curves below."""
    args = arguments(__doc__ or "")
    prompts, rounds, each, seeds = (120, 5, 24, 2) if args.quick else (600, 10, 60, 5)
    at = world(prompts)
    curves = {strategy: np.stack([curve(at, strategy, rounds, each, seed) for seed in range(seeds)])
              for strategy in STRATEGIES}
    goal, total = float(curves["random"].mean(axis=0)[-1]), rounds * each
    rows, size = [], f"{total} votes, {seeds} seeds"
    for strategy in list(STRATEGIES)[1:]:
        votes = needed(curves[strategy].mean(axis=0), goal, each)
        ratio = TARGET_SHARE * total / votes
        rows.append(Row(f"votes for random's {goal:.3f}, {strategy}, {size}", min(votes, 1e9), float(total), ratio,
                        f"votes, at most {TARGET_SHARE:.0%}", 1.0, ratio >= 1.0))
        gain = curves[strategy][:, -1] - curves["random"][:, -1]
        last = float(curves[strategy].mean(axis=0)[-1])
        rows.append(Row(f"accuracy with all votes, {strategy}, {size}", last, goal, last / goal, "accuracy", 1.0,
                        bool(gain.mean() >= 0)))
    lines = ["| votes | " + " | ".join(STRATEGIES) + " |", "|---|" + "---|" * len(STRATEGIES)]
    for number in range(rounds):
        cells = []
        for strategy in STRATEGIES:
            values = curves[strategy][:, number]
            reach = float(stats.t.ppf(0.975, seeds - 1) * values.std(ddof=1) / np.sqrt(seeds))
            cells.append(f"{values.mean():.3f} ± {reach:.3f}")
        lines.append(f"| {each * (number + 1)} | " + " | ".join(cells) + " |")
    told = f"{len(at.couples)} couples to choose from, {len(at.unseen)} unseen ones. 1e+09 votes: never reached."
    command = "Command: `python benchmarks/active_pairs.py`.\n"
    finish("active_pairs", rows, args, "\n".join([*lines, "", told, "", command]))


if __name__ == "__main__":
    main()
