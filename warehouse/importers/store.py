"""Comparisons -> rows of the warehouse, in chunks that are committed whole.

Owns identity: an imported candidate is its source, its item and its bytes; a vote is its source, pair, dimension and
rater. What is there already is left as it is. A killed import runs again and finds its chunks by content id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from warehouse.catalog import Warehouse
from warehouse.errors import InvalidInputError, MediaError
from warehouse.hashing import canonical_json
from warehouse.importers.comparison import Comparison, Item, Outcome, Refused, SideLabel
from warehouse.importers.media import MediaFolder
from warehouse.importers.rows import SourceRow
from warehouse.records import Row, annotator_row, candidate_row, generator_row, pair_row, prompt_row, rationale_row
from warehouse.records import vote_row as make_vote
from warehouse.stage import Recorder

CHUNK = 20_000
_TABLES = ("prompts", "media", "generators", "candidates", "pairs", "annotators", "rationales", "votes")
_VOTES = "SELECT vote_id, label FROM votes WHERE vote_id IN (SELECT unnest(?))"


@dataclass(frozen=True)
class Source:
    """What the rows of one import have in common."""

    name: str
    task: str
    media_kind: str
    domain: str
    licence_id: str | None


@dataclass
class _Chunk:
    """Rows of one commit; `behind` holds the comparison that each vote came from."""

    tables: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in _TABLES})
    votes: dict[str, Row] = field(default_factory=dict)
    behind: dict[str, Comparison] = field(default_factory=dict)


def side_label(label: SideLabel, first_is_a: bool) -> str:
    """`a` or `b` for the item that won; ties and both-bad stay."""
    if label in ("tie", "both_bad"):
        return label
    return "a" if (label == "first") == first_is_a else "b"


class Store:
    """Writes the outcomes of one import and counts what was new."""

    def __init__(self, source: Source, warehouse: Warehouse, recorder: Recorder, media_root: Path, total: int) -> None:
        self.source, self.warehouse, self.recorder = source, warehouse, recorder
        self.total = total
        self.media = MediaFolder(warehouse, media_root, source.media_kind, source.name, source.licence_id)
        self.now = datetime.now(UTC).replace(tzinfo=None)
        self._repeats: Counter[tuple[str, str]] = Counter()
        self._used: set[tuple[str, int]] = set()
        self._fresh: set[tuple[str, int]] = set()
        self._chunk, self._size = _Chunk(), 0
        for name in ("prompts", "candidates", "pairs", "ties", "votes", "rationales"):
            recorder.count(name, 0)

    def write(self, outcomes: Iterable[Outcome]) -> None:
        """Everything of `outcomes`, then the counts of rows that brought nothing new and of absent media."""
        for outcome in outcomes:
            if isinstance(outcome, Refused):
                self.refuse(outcome.row, outcome.reason, outcome.detail)
            else:
                self._add(outcome)
            if self._size >= CHUNK:
                self._flush()
        self._flush()
        self.recorder.count("already_there", len(self._used - self._fresh))
        self.recorder.count("media_absent", len(self.media.absent))

    def refuse(self, row: SourceRow, reason: str, detail: str) -> None:
        """Keep a bad row as a reject with file and row."""
        self.recorder.reject(source=self.source.name, location=row.location, reason=reason, detail=detail)

    def _add(self, found: Comparison) -> None:
        try:
            prompt = prompt_row(
                found.prompt,
                self.source.task,
                self.source.media_kind,
                self.source.name,
                found.prompt_item,
                self.source.domain,
                licence_id=self.source.licence_id,
            )
            first, second = (self._candidate(item, prompt["prompt_id"]) for item in (found.first, found.second))
            pair = pair_row(
                prompt["prompt_id"],
                first["candidate_id"],
                second["candidate_id"],
                self.source.task,
                "imported",
                self.source.name,
            )
        except (InvalidInputError, MediaError) as error:
            reason = error.reason if isinstance(error, MediaError) else "bad_row"
            self.refuse(found.rows[-1], reason, str(error))
            return
        tables = self._chunk.tables
        tables["prompts"].append(prompt)
        tables["candidates"] += [first, second]
        tables["pairs"].append(pair)
        self._vote(found, pair, first["candidate_id"] == pair["candidate_a"])
        self._size += 1

    def _candidate(self, item: Item, prompt_id: str) -> Row:
        media = self.media.find(item)
        generator = generator_row(item.model, "imported", "unknown")
        if media is not None:
            self._chunk.tables["media"].append(media)
        self._chunk.tables["generators"].append(generator)
        media_id = media["media_id"] if media else None
        return candidate_row(
            prompt_id, generator["generator_id"], media_id, None, {}, self.source.task, self.source.name, item.name
        )

    def _rater(self, found: Comparison, pair_id: str, dimension: str) -> str:
        """The real rater; else `source:<name>`, with a number from the second vote on the same pair on."""
        if found.rater is not None:
            return found.rater
        name = f"source:{self.source.name}"
        self._repeats[pair_id, dimension] += 1
        repeat = self._repeats[pair_id, dimension]
        return name if found.one_vote or repeat == 1 else f"{name}#{repeat}"

    def _vote(self, found: Comparison, pair: Row, first_is_a: bool) -> None:
        left = ("a" if first_is_a else "b") if found.sided else None
        self._used.update((row.file, row.number) for row in found.rows)
        for dimension, label in found.labels.items():
            rater = self._rater(found, pair["pair_id"], dimension)
            annotator = annotator_row("imported", f"{self.source.name}/{rater}", {"rater": rater})
            vote = make_vote(
                None,
                pair["pair_id"],
                dimension,
                annotator["annotator_id"],
                side_label(label, first_is_a),
                self.source.name,
                self.now,
                left_side=left,
            )
            self._chunk.tables["annotators"].append(annotator)
            self._keep(vote, found)
            if found.judgement is not None:
                self._chunk.tables["rationales"].append(_rationale(found, pair, dimension, first_is_a))

    def _keep(self, vote: Row, found: Comparison) -> None:
        """The first vote under an id stays; the same rater with another answer is a reject."""
        known = self._chunk.votes.setdefault(vote["vote_id"], vote)
        if known is vote:
            self._chunk.behind[vote["vote_id"]] = found
        elif known["label"] != vote["label"]:
            self._refuse_conflict(found, known["label"], vote["label"])

    def _refuse_conflict(self, found: Comparison, old: str, new: str) -> None:
        row = found.rows[-1]
        self._used.discard((row.file, row.number))
        self.refuse(row, "conflicting_vote", f"this rater's vote on the pair is {old!r} already, not {new!r}")

    def _new_votes(self) -> list[Row]:
        """Votes of the chunk that the warehouse does not hold; those that contradict it are rejects."""
        there = {row["vote_id"]: row["label"] for row in self.warehouse.rows(_VOTES, [list(self._chunk.votes)])}
        for vote_id, label in there.items():
            vote = self._chunk.votes[vote_id]
            if vote["label"] != label:
                self._refuse_conflict(self._chunk.behind[vote_id], label, vote["label"])
        return [vote for vote_id, vote in self._chunk.votes.items() if vote_id not in there]

    def _flush(self) -> None:
        with self.warehouse.commit(f"import {self.source.name}"):
            new = self._new_votes()
            for vote in new:
                self._fresh.update((row.file, row.number) for row in self._chunk.behind[vote["vote_id"]].rows)
            for table, rows in {**self._chunk.tables, "votes": new}.items():
                self.recorder.count(table, self.warehouse.merge(table, rows, run_id=self.recorder.run_id))
        self.recorder.count("ties", sum(vote["label"] == "tie" for vote in new))
        self.recorder.progress(len(self._used), self.total, self.source.name)
        self._chunk, self._size = _Chunk(), 0


def _rationale(found: Comparison, pair: Row, dimension: str, first_is_a: bool) -> Row:
    """The judge's text; it speaks of a first and a second item, so the row says which candidate was first."""
    assert found.judgement is not None
    judged = found.judgement
    row = rationale_row(
        pair["pair_id"], dimension, side_label(judged.verdict, first_is_a), judged.text, "model", judged.judge
    )
    return row | {"structured_json": canonical_json({"model_a": "a" if first_is_a else "b"})}
