"""Comparisons -> rows of the warehouse, in chunks that are committed whole.

Owns identity: an imported candidate is its source, its item and its bytes; a vote is its source, pair, dimension and
rater. What is there already is left as it is. A killed import runs again and finds its chunks by content id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from warehouse.catalog import Warehouse
from warehouse.errors import InvalidInputError, MediaError
from warehouse.hashing import canonical_json, content_id
from warehouse.importers.chunk import Chunk, Marks
from warehouse.importers.comparison import Comparison, Embedded, Item, Outcome, Refused, SideLabel
from warehouse.importers.media import MediaFolder
from warehouse.importers.source_row import SourceRow
from warehouse.records import DIMENSIONS, Row, annotator_row, candidate_row, generator_row, pair_row, prompt_row
from warehouse.records import rationale_row as make_rationale
from warehouse.records import vote_row as make_vote
from warehouse.stage import Recorder

CHUNK = 20_000
_VOTES = "SELECT vote_id, label FROM votes WHERE vote_id IN (SELECT unnest(?))"


@dataclass(frozen=True)
class Source:
    """What the rows of one import have in common."""

    name: str
    task: str
    media_kind: str
    domain: str
    licence_id: str | None


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
        self.media = MediaFolder(warehouse, media_root, source.name, source.licence_id)
        self.now = datetime.now(UTC).replace(tzinfo=None)
        # How many nameless people voted on a question so far.
        self._nameless: dict[int, int] = {}
        # Ids of generators and raters whose rows are written, or stand in the chunk.
        self._generators: dict[str, str] = {}
        self._annotators: dict[str, str] = {}
        self._used, self._fresh = Marks(), Marks()
        self._rejects: set[str] = set()
        self._chunk = Chunk()
        for name in ("prompts", "candidates", "pairs", "ties", "votes", "rationales"):
            recorder.count(name, 0)

    def write(self, outcomes: Iterable[Outcome]) -> None:
        """Everything of `outcomes`, then the counts of rows that brought nothing new and of absent media."""
        for outcome in outcomes:
            if isinstance(outcome, Comparison):
                self._add(outcome)
            elif isinstance(outcome, Embedded):
                self.media.keep(outcome.item, self.source.media_kind)
            else:
                self.refuse(outcome)
            if self._chunk.comparisons >= CHUNK:
                self._flush()
        self._flush()
        self.recorder.count("rows_used", len(self._used))
        self.recorder.count("already_there", self._used.minus(self._fresh))
        self.recorder.count("media_absent", len(self.media.absent))

    def refuse(self, refused: Refused) -> None:
        """Keep a bad row as a reject with file and row; what is wrong with it is told once."""
        told = content_id(refused.row.index, refused.reason, refused.detail)
        if told in self._rejects:
            return
        self._rejects.add(told)
        self.recorder.reject(
            source=self.source.name, location=refused.row.location, reason=refused.reason, detail=refused.detail
        )

    def _add(self, found: Comparison) -> None:
        try:
            prompt = self._prompt(found)
            first = self._candidate(found.first, prompt["prompt_id"])
            second = self._candidate(found.second, prompt["prompt_id"])
            sides = (first["candidate_id"], second["candidate_id"])
            pair = pair_row(prompt["prompt_id"], *sides, self.source.task, "imported", self.source.name)
        except (InvalidInputError, MediaError) as error:
            reason = error.reason if isinstance(error, MediaError) else "bad_row"
            self.refuse(Refused(found.rows[-1], reason, str(error)))
            return
        self._chunk.add("prompts", prompt)
        self._chunk.add("candidates", first)
        self._chunk.add("candidates", second)
        self._chunk.add("pairs", pair)
        self._vote(found, pair, first["candidate_id"] == pair["candidate_a"])
        self._chunk.comparisons += 1

    def _prompt(self, found: Comparison) -> Row:
        source = self.source
        condition = self._condition(found.condition) if found.condition else None
        known = self._chunk.prompts.get((found.prompt, condition))
        if known is not None:
            return known
        row = prompt_row(
            found.prompt,
            source.task,
            source.media_kind,
            source.name,
            found.prompt_item,
            source.domain,
            condition_media_id=condition,
            licence_id=source.licence_id,
        )
        return self._chunk.prompts.setdefault((found.prompt, condition), row)

    def _condition(self, item: Item) -> str:
        """Its media id; of an absent one a name that no medium has, so that the pair stays out of shards till then."""
        return self.media.find(item, "image") or f"absent:{content_id('condition', self.source.name, item.name)}"

    def _candidate(self, item: Item, prompt_id: str) -> Row:
        if item.data is None and item.name in self._chunk.items:
            return self._chunk.items[item.name]
        media_id = self.media.find(item, self.source.media_kind)
        if item.model not in self._generators:
            generator = self._chunk.add("generators", generator_row(item.model, "imported", "unknown"))
            self._generators[item.model] = generator["generator_id"]
        by, source = self._generators[item.model], self.source
        row = candidate_row(prompt_id, by, media_id, None, {}, source.task, source.name, item.name)
        if item.data is None:
            self._chunk.items[item.name] = row
        return row

    def _annotator(self, rater: str) -> str:
        if rater not in self._annotators:
            row = annotator_row("imported", f"{self.source.name}/{rater}", {"rater": rater})
            self._annotators[rater] = self._chunk.add("annotators", row)["annotator_id"]
        return self._annotators[rater]

    def _rater(self, found: Comparison, pair_id: str, dimension: str) -> str:
        """The real rater; else `source:<name>`, with a number from the second vote on the same pair on."""
        if found.rater is not None:
            return found.rater
        name = f"source:{self.source.name}"
        if found.one_vote:
            return name
        question = int(pair_id, 16) * len(DIMENSIONS) + DIMENSIONS.index(dimension)
        repeat = self._nameless.get(question, 0) + 1
        self._nameless[question] = repeat
        return name if repeat == 1 else f"{name}#{repeat}"

    def _vote(self, found: Comparison, pair: Row, first_is_a: bool) -> None:
        left = ("a" if first_is_a else "b") if found.sided else None
        self._used.add(found.rows)
        for dimension, label in found.labels.items():
            annotator_id = self._annotator(self._rater(found, pair["pair_id"], dimension))
            rationale = self._rationale(found, pair, dimension, first_is_a)
            vote = make_vote(
                None,
                pair["pair_id"],
                dimension,
                annotator_id,
                side_label(label, first_is_a),
                self.source.name,
                found.created_at or self.now,
                left_side=left,
                seconds=found.seconds,
                rationale_id=rationale,
            )
            self._keep(vote, found.rows)

    def _rationale(self, found: Comparison, pair: Row, dimension: str, first_is_a: bool) -> str | None:
        """A judge's text, or the id of the voter's own; the row says which candidate was the first one of the text."""
        remark = found.remark
        if remark is None:
            return None
        verdict = side_label(remark.verdict, first_is_a)
        kind = remark.author_kind
        row = make_rationale(pair["pair_id"], dimension, verdict, remark.text, kind, remark.author)
        sides = {"model_a": "a" if first_is_a else "b"}
        self._chunk.add("rationales", row | {"structured_json": canonical_json(sides)})
        return str(row["rationale_id"]) if kind == "person" else None

    def _keep(self, vote: Row, rows: tuple[SourceRow, ...]) -> None:
        """The first vote under an id stays; the same rater with another answer is a reject."""
        known = self._chunk.votes.setdefault(vote["vote_id"], vote)
        if known is vote:
            self._chunk.behind[vote["vote_id"]] = tuple(row.bare() for row in rows)
        elif known["label"] != vote["label"]:
            self._refuse_conflict(rows, known["label"], vote["label"])

    def _refuse_conflict(self, rows: tuple[SourceRow, ...], old: str, new: str) -> None:
        self._used.add(rows[-1:], mark=0)
        said = f"this rater's vote on the pair is {old!r} already, not {new!r}"
        self.refuse(Refused(rows[-1], "conflicting_vote", said))

    def _new_votes(self) -> list[Row]:
        """Votes of the chunk that the warehouse does not hold; those that contradict it are rejects."""
        there = {row["vote_id"]: row["label"] for row in self.warehouse.rows(_VOTES, [list(self._chunk.votes)])}
        for vote_id, label in there.items():
            vote = self._chunk.votes[vote_id]
            if vote["label"] != label:
                self._refuse_conflict(self._chunk.behind[vote_id], label, vote["label"])
        return [vote for vote_id, vote in self._chunk.votes.items() if vote_id not in there]

    def _flush(self) -> None:
        for media in self.media.take_rows():
            self._chunk.add("media", media)
        with self.warehouse.commit(f"import {self.source.name}"):
            new = self._new_votes()
            for vote in new:
                self._fresh.add(self._chunk.behind[vote["vote_id"]])
            tables: dict[str, Any] = {name: rows.values() for name, rows in self._chunk.tables.items()}
            for table, rows in {**tables, "votes": new}.items():
                self.recorder.count(table, self.warehouse.merge(table, rows, run_id=self.recorder.run_id))
        self.recorder.count("ties", sum(vote["label"] == "tie" for vote in new))
        self.recorder.progress(len(self._used), self.total, self.source.name)
        self._chunk = Chunk()
