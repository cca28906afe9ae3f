"""The import of a table, set by set: what ten million rows say is joined, checked and counted by the database.

Order: the rows (told.py), the questions they ask (asked.py), their answers (ballots.py), and here what becomes of them
in one commit. Rows that the warehouse holds are left as they are, so that a second import adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from warehouse.catalog import Warehouse
from warehouse.errors import InvalidInputError
from warehouse.importers.asked import Asking, Questions
from warehouse.importers.ballots import Ballots
from warehouse.importers.comparison import FormatOptions
from warehouse.importers.media import MediaFolder
from warehouse.importers.reading import Reading
from warehouse.importers.store import Source
from warehouse.importers.told import Told, place_of
from warehouse.records import annotator_row, generator_row
from warehouse.scratch import Scratch
from warehouse.stage import Recorder

_USED = """
SELECT q.* FROM asked q JOIN couples c USING (pair_id) SEMI JOIN ballots b ON b.pair = c.pair WHERE q.reason IS NULL"""
_PROMPTS = """
SELECT prompt_id, arg_min(text, row) AS text, any_value(canonical) AS canonical, $task AS task, $kind AS media_kind,
    $source AS source, {place} AS source_item, $domain AS domain, '{{}}' AS tags_json,
    any_value(condition_id) AS condition_media_id, $licence AS licence_id
FROM used GROUP BY prompt_id"""
_SIDE = """
SELECT row, prompt_id, c_{side} AS candidate_id, generator_{side} AS generator_id, media_{side} AS media_id,
    name_{side} AS name FROM used"""
_SHOWN = f"""
SELECT candidate_id, arg_min(prompt_id, row) AS prompt_id, arg_min(generator_id, row) AS generator_id,
    any_value(media_id) AS media_id, any_value(name) AS name
FROM ({_SIDE.format(side="first")} UNION ALL {_SIDE.format(side="second")}) GROUP BY candidate_id"""
_CANDIDATES = """
SELECT candidate_id, prompt_id, generator_id, media_id, '{}' AS params_json, $task AS task, $source AS source,
    name AS source_item FROM shown"""
_PAIRS = """
SELECT q.pair_id, q.prompt_id, least(c_first, c_second) AS candidate_a, greatest(c_first, c_second) AS candidate_b,
    $task AS task, 'imported' AS strategy, $source AS source
FROM asked q JOIN couples c ON c.pair = q.row SEMI JOIN ballots b ON b.pair = c.pair"""
# Sorted while rows are narrow, which costs half of what DuckLake would take for whole ones.
_VOTES = """
SELECT vote_id, pair_id, dimension, annotator_id, label, 1 AS guideline_version, $source AS source, false AS deleted,
    $now::TIMESTAMP AS created_at, $now::TIMESTAMP AS updated_at
FROM (SELECT vote_id, pair_id, dimension, annotator_id, label FROM cast_votes ORDER BY pair_id)"""


class TableImport:
    """One import of a table into `warehouse`; `reading` makes a fresh pass over its files."""

    def __init__(
        self,
        warehouse: Warehouse,
        scratch: Scratch,
        reading: Callable[[], Reading],
        media_root: Path,
        options: FormatOptions,
        facts: Source,
    ) -> None:
        self.warehouse, self.scratch, self._facts = warehouse, scratch, facts
        self._reading, self._media_root, self._options = reading, media_root, options

    def read(self) -> str:
        """Look at every row; returns a digest of the media that are there. Raises InvalidInputError for a bad file."""
        with TemporaryDirectory(dir=self._folder()) as folder:
            return self._read(Path(folder))

    def _folder(self) -> Path:
        folder = self.warehouse.root / "tmp"
        folder.mkdir(exist_ok=True)
        return folder

    def _read(self, folder: Path) -> str:
        try:
            found = self._ask(folder, spell=False)
        except duckdb.Error:
            # Text that is not UTF-8, or a damaged file: a row at a time tells which rows it costs.
            self.scratch.drop()
            found = self._ask(folder, spell=True)
        if not self.told.read:
            raise InvalidInputError("no rows", where=str(self._reading().files[0]))
        self.questions.make()
        self.scratch.forget("questions")
        return found

    def _ask(self, folder: Path, spell: bool) -> str:
        facts, columns = self._facts, {role: name for role, name in self._options.columns.items() if name}
        media = MediaFolder(self.warehouse, self._media_root, facts.name, facts.licence_id)
        self.media = media
        self.told = Told(self._reading(), columns, media, facts.media_kind, spell)
        self.told.make(self.scratch, folder)
        self.questions = Questions(self.scratch, self.told, media, Asking(facts.name, facts.task, facts.media_kind))
        self.ballots = Ballots(
            self.scratch, self.told, self.questions, facts.name, self._options.labels,
            self._options.dimension or "overall",
        )  # fmt: skip
        found = self.questions.read()
        self.ballots.read()
        return found

    def write(self, recorder: Recorder) -> None:
        """Everything that the rows say, in one commit; counts and rejects go to the recorder."""
        duplicates = self.ballots.make()
        refused = sorted([*self.told.refused, *self.ballots.refused()])
        self.scratch.view("used", _USED)
        self.scratch.table("shown", _SHOWN)
        recorder.progress(self.told.read // 2, self.told.read, self._facts.name)
        with self.warehouse.commit(f"import {self._facts.name}"):
            counts, conflicts = self._commit(recorder.run_id)
        for row, reason, detail in refused:
            self._reject(recorder, row, reason, detail)
        for row, old, new in conflicts:
            said = f"this rater's vote on the pair is {old!r} already, not {new!r}"
            self._reject(recorder, row, "conflicting_vote", said)
        valid = int(self.scratch.run("SELECT coalesce(sum(n), 0) FROM ballots")[0][0])
        counts |= {"read": self.told.read, "duplicates": duplicates, "rows_used": valid - len(conflicts)}
        counts["already_there"] = counts["rows_used"] - counts["votes"]
        for name, number in counts.items():
            recorder.count(name, number)
        recorder.progress(self.told.read, self.told.read, self._facts.name)

    def _reject(self, recorder: Recorder, row: int, reason: str, detail: str) -> None:
        where = place_of(row, self.told.names)
        recorder.reject(source=self._facts.name, location=where, reason=reason, detail=detail)

    def _commit(self, run_id: str) -> tuple[dict[str, int], list[tuple[int, str, str]]]:
        facts = self._facts
        self._people(run_id)
        self.ballots.cast()
        conflicts, ties = self.ballots.conflicts(), self.ballots.new_ties()
        now = datetime.now(UTC).replace(tzinfo=None).isoformat()
        given = {"task": facts.task, "kind": facts.media_kind, "source": facts.name, "domain": facts.domain,
                 "licence": facts.licence_id, "now": now}  # fmt: skip
        prompts = _PROMPTS.format(place=self.questions.place_sql("min(row)"))
        queries = {"prompts": prompts, "candidates": _CANDIDATES, "pairs": _PAIRS}
        counts = {table: self.scratch.insert(table, sql, given, run_id=run_id) for table, sql in queries.items()}
        counts["media_absent"] = self._absent()
        # Votes are the most: they get the room of what is not needed any more.
        self.scratch.forget("used", "shown", "judged", "asked")
        counts["votes"] = self.scratch.insert("votes", _VOTES, given, run_id=run_id)
        return counts | {"ties": ties}, conflicts

    def _people(self, run_id: str) -> None:
        """Raters, generators and media: few rows, or rows that Python has made."""
        source = self._facts.name
        named = self.ballots.learn_raters()
        raters = [annotator_row("imported", f"{source}/{name}", {"rater": name}) for name in named]
        makers = [generator_row(name, "imported", "unknown") for name in self.questions.makers()]
        for table, rows in (("annotators", raters), ("generators", makers), ("media", self.media.take_rows())):
            self.warehouse.merge(table, rows, run_id=run_id)
        for rows in self.told.media_rows:
            self.warehouse.merge("media", rows, run_id=run_id)

    def _absent(self) -> int:
        """Items without media."""
        items = int(self.scratch.run("SELECT count(DISTINCT name) FROM shown WHERE media_id IS NULL")[0][0])
        if "condition" not in self.told.columns:
            return items
        sql = "SELECT count(DISTINCT name_condition) FROM used WHERE media_condition IS NULL"
        return items + int(self.scratch.run(sql)[0][0])
