"""Stage `consensus`: votes -> for each pair and dimension, the chance that a beats b, with its vote count.

Raters are rated first (quality.py) and, where the rules say so, left out and paused by an event; answers to extra
showings of known pairs and to repeats serve that alone and do not count for the consensus. Ties and both-bad are
split evenly in `p_a` and kept in `p_tie`. A pair that divides two camps of raters (populations.py) is flagged
`split_population`.

Everything is computed from votes in a fixed order: shuffled votes give the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

import numpy as np
from pydantic import Field

from annotation.agreement import alpha, alpha_interval
from annotation.ballots import BOTH_BAD, TIE, A, B, Ballots, Floats, Ints, ballots
from annotation.bradley_terry import bradley_terry
from annotation.dawid_skene import dawid_skene
from annotation.majority import majority
from annotation.populations import camps, split_pairs
from annotation.quality import QualityRules, RaterQuality, excluded, rate, with_repeats
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import canonical_json, content_id
from warehouse.records import LABELS, Row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_DIGITS = 6


class ConsensusConfig(StageConfig):
    """Whose votes (campaigns and sources, both together), which dimensions (none = all), and how they are merged."""

    campaign_ids: tuple[str, ...] = ()
    vote_sources: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    method: Literal["majority", "dawid_skene", "bradley_terry"] = "bradley_terry"
    quality: QualityRules = Field(default_factory=QualityRules)
    resamples: int = Field(default=400, ge=10)
    seed: int = 0


_VOTES = """
SELECT v.vote_id, v.pair_id, v.annotator_id, v.dimension, v.label, v.left_side, v.updated_at, v.seconds,
  coalesce(t.gold, false) AS gold, r.candidate_a, r.candidate_b, v.task_id, t.repeat_of
FROM votes v JOIN pairs r USING (pair_id) LEFT JOIN annotation_tasks t USING (task_id)
WHERE NOT coalesce(v.deleted, false) AND (list_contains(?, t.campaign_id) OR list_contains(?, v.source))
  AND (len(?) = 0 OR list_contains(?, v.dimension))
"""
_GOLD = "SELECT pair_id, dimension, label FROM gold_items"


def merge_votes(votes: Ballots, method: str) -> tuple[Floats, Floats, Floats]:
    """p_a [N], p_tie [N] and each rater's reliability [R] (NaN where the method has none); raises for no method."""
    nothing = np.full(len(votes.raters), np.nan)
    if method == "bradley_terry":
        first, second = votes.first[votes.pair], votes.second[votes.pair]
        sizes = (len(votes.candidates), len(votes.raters))
        fit = bradley_terry(first, second, votes.rater, votes.label, sizes)
        chances = fit.chances(votes.first, votes.second)
        return chances[:, 0] + chances[:, 2] / 2, chances[:, 2], fit.reliability
    if method == "dawid_skene":
        shape = (len(votes.pairs), len(votes.raters), len(LABELS))
        found = dawid_skene(votes.pair, votes.rater, votes.label, shape, smoothing=1.0)
        shares, reliability = found.posterior, found.reliability()
    else:
        shares, reliability = majority(votes.counts()), nothing
    tie = shares[:, TIE] + shares[:, BOTH_BAD]
    # Shares add up to one but for their last bit.
    return np.clip(shares[:, A] + tie / 2, 0.0, 1.0), np.clip(tie, 0.0, 1.0), reliability


def _by_dimension(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["dimension"], []).append(row)
    return dict(sorted(groups.items()))


def _camps(groups: Mapping[str, Sequence[Row]]) -> dict[tuple[str, str], int]:
    """Camp of each (dimension, rater), from the votes on ordinary tasks."""
    found: dict[tuple[str, str], int] = {}
    for dimension, rows in groups.items():
        votes = ballots([row for row in rows if not row["gold"]])
        found |= {(dimension, name): int(camp) for name, camp in zip(votes.raters, camps(votes), strict=True)}
    return found


def _question(row: Mapping[str, Any]) -> str:
    return f"{row['pair_id']}:{row['dimension']}"


def _rate(
    rows: Sequence[Row], camp: Mapping[tuple[str, str], int], gold: Sequence[Row], rules: QualityRules
) -> dict[str, RaterQuality]:
    votes = ballots([row | {"pair_id": _question(row)} for row in rows])
    known = {_question(row): LABELS.index(row["label"]) for row in gold}
    dimension = [name.rpartition(":")[2] for name in votes.pairs]
    camp_of = [camp.get((dimension[p], votes.raters[r]), 0) for p, r in zip(votes.pair, votes.rater, strict=True)]
    return rate(votes, np.array(camp_of, np.int64), known, rules)


class _Merged:
    """One dimension's result."""

    def __init__(self, dimension: str, rows: Sequence[Row], camp: Mapping[tuple[str, str], int]) -> None:
        self.dimension, self.votes = dimension, ballots(rows)
        self.counts = self.votes.counts()
        self.camp: Ints = np.array([camp.get((dimension, name), 0) for name in self.votes.raters], np.int64)

    def agreement(self, config: ConsensusConfig) -> dict[str, Any]:
        """Alpha with its interval, and on how much it stands."""
        value, interval = alpha(self.counts), alpha_interval(self.counts, config.seed, config.resamples)
        return {
            "alpha": None if value is None else round(value, _DIGITS),
            "ci": None if interval is None else [round(end, _DIGITS) for end in interval],
            "votes": len(self.votes),
            "pairs": len(self.votes.pairs),
            "camps": int(self.camp.max(initial=0)) + 1,
        }

    def preferences(self, consensus_id: str, method: str) -> tuple[list[Row], dict[str, float]]:
        """Rows of the preferences table, and each rater's reliability where the method gives one."""
        p_a, p_tie, reliability = merge_votes(self.votes, method)
        split = split_pairs(self.votes, self.camp)
        rows = [
            {
                "preference_id": content_id("preference", consensus_id, pair_id, self.dimension),
                "consensus_id": consensus_id,
                "pair_id": pair_id,
                "dimension": self.dimension,
                "p_a": round(float(p_a[index]), _DIGITS),
                "p_tie": round(float(p_tie[index]), _DIGITS),
                "n_votes": int(counts.sum()),
                "n_a": int(counts[A]),
                "n_b": int(counts[B]),
                "n_tie": int(counts[TIE]),
                "n_both_bad": int(counts[BOTH_BAD]),
                "split_population": bool(split[index]),
            }
            for index, (pair_id, counts) in enumerate(zip(self.votes.pairs, self.counts, strict=True))
        ]
        rated = zip(self.votes.raters, reliability, strict=True)
        return rows, {name: round(float(value), _DIGITS) for name, value in rated if not np.isnan(value)}


def _pauses(
    consensus_id: str, rows: Sequence[Row], out: Sequence[str], ratings: Mapping[str, RaterQuality]
) -> list[Row]:
    """Events that pause the raters left out, dated by their last vote."""
    last: dict[str, datetime] = {}
    for row in rows:
        last[row["annotator_id"]] = max(row["updated_at"], last.get(row["annotator_id"], row["updated_at"]))
    return [
        {
            "event_id": content_id("annotator event", name, "paused", consensus_id),
            "annotator_id": name,
            "kind": "paused",
            "detail_json": canonical_json({"consensus_id": consensus_id, "flags": list(ratings[name].flags)}),
            "happened_at": last[name],
        }
        for name in out
    ]


def _report(
    recorder: Recorder, used: Row, agreement: Mapping[str, Mapping[str, Any]], preferences: Sequence[Row]
) -> None:
    """Outputs that later stages and the summary refer to."""
    for name in ("consensus_id", "n_votes", "n_pairs"):
        recorder.output(name, used[name])
    recorder.output("alpha", {name: part["alpha"] for name, part in agreement.items()})
    recorder.output("alpha_ci", {name: part["ci"] for name, part in agreement.items()})
    recorder.output("split_pairs", sum(row["split_population"] for row in preferences))


def run(config: ConsensusConfig, warehouse: Warehouse) -> Receipt:
    """Rate raters, merge votes, measure agreement. Raises ConfigError where no vote is found."""
    chosen, wanted = [list(config.campaign_ids), list(config.vote_sources)], list(config.dimensions)
    rows = warehouse.rows(_VOTES, [*chosen, wanted, wanted])
    if not rows:
        raise ConfigError(
            f"no votes of campaigns {chosen[0]} and sources {chosen[1]}", hint="run a campaign or import votes first"
        )
    asked = {row["pair_id"] for row in rows}
    gold = [row for row in warehouse.rows(_GOLD) if row["pair_id"] in asked]
    inputs = {
        "votes": warehouse.digest(_VOTES, [*chosen, wanted, wanted]),
        "gold": content_id("gold", *sorted(canonical_json(row) for row in gold)),
    }
    identity = {name: value for name, value in config.identity().items() if name != "reject_limit"}
    consensus_id = content_id("consensus", canonical_json(identity), canonical_json(inputs))

    def body(recorder: Recorder) -> None:
        once = [row for row in rows if row["repeat_of"] is None]
        groups = _by_dimension(once)
        camp = _camps(groups)
        ratings = with_repeats(_rate(once, camp, gold, config.quality), rows, config.quality)
        out, suspect = excluded(ratings, config.quality)
        reliability: dict[str, dict[str, float]] = {name: {} for name in ratings}
        agreement: dict[str, dict[str, Any]] = {}
        preferences: list[Row] = []
        for done, (dimension, members) in enumerate(groups.items()):
            recorder.progress(done, len(groups), dimension)
            counted = [row for row in members if not row["gold"] and row["annotator_id"] not in set(out)]
            merged = _Merged(dimension, counted, camp)
            agreement[dimension] = merged.agreement(config)
            made, rated = merged.preferences(consensus_id, config.method)
            preferences += made
            for name, value in rated.items():
                reliability[name][dimension] = value
        raters = {
            name: asdict(rating) | {"excluded": name in set(out), "reliability": reliability[name]}
            for name, rating in ratings.items()
        }
        used = {
            "consensus_id": consensus_id,
            "method": config.method,
            "params_json": canonical_json(identity),
            "input_digest": inputs["votes"],
            "n_votes": sum(part["votes"] for part in agreement.values()),
            "n_pairs": len({row["pair_id"] for row in preferences}),
            "agreement_json": canonical_json(agreement),
            "raters_json": canonical_json(raters),
        }
        with warehouse.commit(f"consensus {consensus_id}"):
            recorder.count("preferences", warehouse.merge("preferences", preferences, run_id=recorder.run_id))
            events = _pauses(consensus_id, rows, out, ratings)
            warehouse.merge("annotator_events", events, run_id=recorder.run_id)
            warehouse.merge("consensus_runs", [used], run_id=recorder.run_id)
        recorder.count("read", len(rows))
        recorder.count("without_votes", len(asked) - used["n_pairs"])
        _report(recorder, used, agreement, preferences)
        recorder.output("excluded", out)
        recorder.output("raters_suspect", suspect)

    return run_stage("consensus", config, warehouse, inputs, body)
