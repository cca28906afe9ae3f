"""Stage `consensus`: votes -> for each pair and dimension, the chance that a beats b, with its vote count.

Raters are rated first (quality.py) and, where the rules say so, left out and paused by an event; answers to extra
showings of known pairs and to repeats serve that alone and do not count for the consensus. Ties and both-bad are
split evenly in `p_a` and kept in `p_tie`. A pair that divides two camps of raters (populations.py) is flagged
`split_population`.

Everything is computed from votes in a fixed order: shuffled votes give the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from annotation.agreement import alpha, alpha_interval
from annotation.ballots import BOTH_BAD, TIE, A, B, Ballots, Ints
from annotation.election import Choice, Election, known_answers, questions, read_election
from annotation.merging import Merged, Method, merge_votes
from annotation.populations import camps, split_pairs
from annotation.quality import QualityRules, RaterQuality, excluded, rate, with_repeats
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import Column, canonical_json, content_id, content_id_sql, literal
from warehouse.records import LABELS, Row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_DIGITS = 6
_JUDGED = Column("pair_id"), Column("dimension")
_ROWS = "SELECT {id} AS preference_id, {of} AS consensus_id, * FROM made"
_EPOCH = datetime(1970, 1, 1)


class ConsensusConfig(StageConfig):
    """Whose votes (campaigns and sources, both together), which dimensions (none = all), and how they are merged."""

    campaign_ids: tuple[str, ...] = ()
    vote_sources: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    method: Method = "bradley_terry"
    quality: QualityRules = Field(default_factory=QualityRules)
    resamples: int = Field(default=400, ge=10)
    seed: int = 0

    def choice(self) -> Choice:
        """The votes asked for."""
        return Choice(self.campaign_ids, self.vote_sources, self.dimensions)


@dataclass(frozen=True, eq=False)
class Panel:
    """The raters of an election: figures by id, who is left out, and the camp of each rater [R] by dimension."""

    ratings: Mapping[str, RaterQuality]
    out: Sequence[str]
    suspect: bool
    camp: Mapping[str, Ints]


def judge_raters(election: Election, gold: Sequence[Row], rules: QualityRules) -> Panel:
    """Rate everybody over all dimensions. Camps come from votes on ordinary tasks."""
    camp = {name: camps(part.keep(~part.gold)) for name, part in election.parts.items()}
    votes = questions(election.parts)
    camp_of = [camp[name][part.rater] for name, part in election.parts.items()]
    known = {f"{row['pair_id']}:{row['dimension']}": LABELS.index(row["label"]) for row in gold}
    found = rate(votes, np.concatenate(camp_of), known, rules)
    ratings = with_repeats(found, election.steady, rules)
    out, suspect = excluded(ratings, rules)
    return Panel(ratings, out, suspect, camp)


def counted(part: Ballots, panel: Panel, dimension: str) -> tuple[Ballots, Ints]:
    """The votes of a dimension that count, and the camp of each of their raters."""
    left_out = np.isin(np.array(part.raters, dtype=object), list(panel.out))
    mask = ~part.gold & ~left_out[part.rater]
    return part.only(mask), panel.camp[dimension][np.unique(part.rater[mask])]


def _agreement(votes: Ballots, camp: Ints, config: ConsensusConfig) -> dict[str, Any]:
    """Alpha with its interval, and on how much it stands."""
    counts = votes.counts()
    value, interval = alpha(counts), alpha_interval(counts, config.seed, config.resamples)
    # In order: a, neither, b.
    ordinal = alpha(np.stack([counts[:, A], counts[:, TIE] + counts[:, BOTH_BAD], counts[:, B]], axis=1), "ordinal")
    return {
        "alpha": None if value is None else round(value, _DIGITS),
        "alpha_ordinal": None if ordinal is None else round(ordinal, _DIGITS),
        "ci": None if interval is None else [round(end, _DIGITS) for end in interval],
        "votes": len(votes),
        "pairs": len(votes.pairs),
        "camps": int(camp.max(initial=0)) + 1,
    }


def _preferences(votes: Ballots, camp: Ints, merged: Merged, dimension: str) -> pa.Table:
    """Columns of the preferences table, without the ids that follow from the consensus."""
    counts = votes.counts()
    named = {"n_a": A, "n_b": B, "n_tie": TIE, "n_both_bad": BOTH_BAD}
    return pa.table({
        "pair_id": votes.pairs,
        "dimension": pa.repeat(dimension, len(votes.pairs)),
        "p_a": np.round(merged.p_a, _DIGITS),
        "p_tie": np.round(merged.p_tie, _DIGITS),
        "n_votes": counts.sum(axis=1),
        **{name: counts[:, label] for name, label in named.items()},
        "split_population": split_pairs(votes, camp),
    })


def _figures(votes: Ballots, merged: Merged) -> dict[str, dict[str, float]]:
    """Reliability and lean of each rater, where the method gives them."""
    parts = {"reliability": merged.reliability, "lean": merged.lean}
    return {
        name: {key: round(float(value[index]), _DIGITS) for key, value in parts.items() if not np.isnan(value[index])}
        for index, name in enumerate(votes.raters)
    }


def _pauses(consensus_id: str, election: Election, panel: Panel) -> list[Row]:
    """Events that pause the raters left out, dated by their last vote."""
    return [
        {
            "event_id": content_id("annotator event", name, "paused", consensus_id),
            "annotator_id": name,
            "kind": "paused",
            "detail_json": canonical_json({"consensus_id": consensus_id, "flags": list(panel.ratings[name].flags)}),
            "happened_at": _EPOCH + timedelta(microseconds=election.last_us[name]),
        }
        for name in panel.out
    ]


class _Outcome:
    """What the dimensions come to, one after the other."""

    def __init__(self, config: ConsensusConfig, consensus_id: str, panel: Panel) -> None:
        self.config, self.consensus_id, self.panel = config, consensus_id, panel
        self.preferences: list[pa.Table] = []
        self.agreement: dict[str, dict[str, Any]] = {}
        self.split_pairs = 0
        self._figures: dict[str, dict[str, dict[str, float]]] = {name: {} for name in panel.ratings}

    def add(self, dimension: str, part: Ballots) -> None:
        """Merge one dimension."""
        votes, camp = counted(part, self.panel, dimension)
        self.agreement[dimension] = _agreement(votes, camp, self.config)
        merged = merge_votes(votes, self.config.method)
        table = _preferences(votes, camp, merged, dimension)
        self.preferences.append(table)
        self.split_pairs += int(table["split_population"].to_numpy().sum())
        for name, values in _figures(votes, merged).items():
            for key, value in values.items():
                self._figures[name].setdefault(key, {})[dimension] = value

    def row(self, identity: Mapping[str, Any], digest: str, n_pairs: int) -> Row:
        """Row of consensus_runs."""
        out = set(self.panel.out)
        raters = {
            name: asdict(rating) | {"excluded": name in out, "reliability": {}} | self._figures[name]
            for name, rating in self.panel.ratings.items()
        }
        return {
            "consensus_id": self.consensus_id,
            "method": self.config.method,
            "params_json": canonical_json(dict(identity)),
            "input_digest": digest,
            "n_votes": sum(part["votes"] for part in self.agreement.values()),
            "n_pairs": n_pairs,
            "agreement_json": canonical_json(self.agreement),
            "raters_json": canonical_json(raters),
        }


def _report(recorder: Recorder, row: Row, outcome: _Outcome, asked: Election) -> None:
    """Counts, and the outputs that later stages and the summary refer to."""
    recorder.count("read", asked.votes)
    recorder.count("without_votes", asked.pairs - row["n_pairs"])
    for name in ("consensus_id", "n_votes", "n_pairs"):
        recorder.output(name, row[name])
    recorder.output("alpha", {name: part["alpha"] for name, part in outcome.agreement.items()})
    recorder.output("alpha_ci", {name: part["ci"] for name, part in outcome.agreement.items()})
    recorder.output("split_pairs", outcome.split_pairs)
    recorder.output("excluded", list(outcome.panel.out))
    recorder.output("raters_suspect", outcome.panel.suspect)


def run(config: ConsensusConfig, warehouse: Warehouse) -> Receipt:
    """Rate raters, merge votes, measure agreement. Raises ConfigError where no vote is found."""
    election = read_election(warehouse, config.choice())
    if not election.parts:
        raise ConfigError(
            f"no votes of campaigns {list(config.campaign_ids)} and sources {list(config.vote_sources)}",
            hint="run a campaign or import votes first",
        )
    gold = known_answers(warehouse, config.choice())
    inputs = {"votes": election.digest, "gold": content_id("gold", *(canonical_json(row) for row in gold))}
    identity = {name: value for name, value in config.identity().items() if name != "reject_limit"}
    consensus_id = content_id("consensus", canonical_json(identity), canonical_json(inputs))

    def body(recorder: Recorder) -> None:
        outcome = _Outcome(config, consensus_id, judge_raters(election, gold, config.quality))
        for done, (dimension, part) in enumerate(election.parts.items()):
            recorder.progress(done, len(election.parts), dimension)
            outcome.add(dimension, part)
        with warehouse.scratch() as scratch, warehouse.commit(f"consensus {consensus_id}"):
            scratch.load("made", pa.concat_tables(outcome.preferences))
            n_pairs = int(scratch.run("SELECT count(DISTINCT pair_id) FROM made")[0][0])
            row = outcome.row(identity, election.digest, n_pairs)
            of = literal(consensus_id)
            rows = _ROWS.format(id=content_id_sql("preference", consensus_id, *_JUDGED), of=of)
            made = scratch.insert("preferences", rows, run_id=recorder.run_id, among=f"consensus_id = {of}")
            recorder.count("preferences", made)
            pauses = _pauses(consensus_id, election, outcome.panel)
            warehouse.merge("annotator_events", pauses, run_id=recorder.run_id)
            warehouse.merge("consensus_runs", [row], run_id=recorder.run_id)
        _report(recorder, row, outcome, election)

    return run_stage("consensus", config, warehouse, inputs, body)
