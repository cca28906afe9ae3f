"""What the rows of a table answer: each vote once, rows that say nothing new, and rows that are refused.

Table `answers` finds for every row its question and the words it uses; `single` leaves out rows equal in every field;
`ballots` holds one vote for each pair, dimension and rater: the first. Numbers stand for texts up to the last step, so
that ten million rows fit in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from warehouse.hashing import Column, IdColumn, content_id_sql, literal
from warehouse.importers.asked import Questions
from warehouse.importers.comparison import RowError
from warehouse.importers.spelling import distinct, words
from warehouse.importers.table import dimension_named, name_of, side_label
from warehouse.importers.told import Told
from warehouse.records import annotator_row
from warehouse.scratch import Scratch

_WORDS = ("label", "dimension", "rater")
_SIDE = "CASE WHEN label IN ('tie', 'both_bad') THEN label WHEN (label = 'first') = first_is_a THEN 'a' ELSE 'b' END"


def annotator_id(source: str, rater: str) -> str:
    """The id of a rater of a source."""
    return str(annotator_row("imported", f"{source}/{rater}")["annotator_id"])


class Ballots:
    """Makes the tables above from `told`, `questions` and `asked`."""

    def __init__(
        self, scratch: Scratch, told: Told, questions: Questions, source: str, labels: Mapping[str, str], dimension: str
    ) -> None:
        self._scratch, self._told, self._questions = scratch, told, questions
        self._source, self._labels, self._dimension = source, labels, dimension

    def _learn(self, word: str) -> None:
        meaning: dict[str, Callable[[str], str]] = {
            "label": lambda value: side_label(value, self._labels),
            "dimension": dimension_named,
            "rater": self._rater,
        }
        said = meaning[word]
        told = f"coalesce(told_{word}, '')"
        sql = distinct([told], "told") if word in self._told.columns else f"SELECT {literal(self._dimension)} AS x"
        words(self._scratch, f"said_{word}", sql, partial(_or_none, said), partial(_fault, said))
        # Several words may mean the same: numbers stand for meanings, and words keep numbers of their own.
        self._scratch.table(
            f"{word}_words",
            f"SELECT given, meaning AS {word}, meaning1 AS fault, row_number() OVER () AS no,"
            f" min(rowid) OVER (PARTITION BY meaning) AS meant FROM said_{word}",
        )

    def _rater(self, value: str) -> str:
        found = name_of(value)
        if found is None:
            raise RowError("missing_field", f"no {self._told.columns['rater']}, got {value!r}"[:300])
        return found

    def read(self) -> None:
        """Which question each row asks, and in which words it answers."""
        joins, columns = [], []
        for word in _WORDS:
            if word == "label" or word in self._told.columns or word == "dimension":
                self._learn(word)
            if word in self._told.columns:
                joins.append(f"JOIN {word}_words w_{word} ON w_{word}.given = coalesce(told_{word}, '')")
                columns.append(f"w_{word}.no::INTEGER AS {word}")
            else:
                columns.append(f"1::INTEGER AS {word}")
        same = " AND ".join(f"t.{name} IS NOT DISTINCT FROM q.{name}" for name in self._questions.given)
        self._scratch.table(
            "answers",
            f"SELECT t.row, q.row AS asked, {', '.join(columns)}, t.rest FROM told t JOIN questions q ON {same}"
            f" {' '.join(joins)}",
        )

    def make(self) -> int:
        """Votes; returns how many rows repeated another in every field."""
        scratch = self._scratch
        face = "q.same" if self._questions.has_odd else "a.asked"
        join = "JOIN asked q ON q.row = a.asked" if self._questions.has_odd else ""
        once = scratch.table(
            "single",
            f"SELECT min(a.row) AS row, min(a.asked) AS asked, a.label, a.dimension, a.rater FROM answers a {join}"
            f" GROUP BY {face}, a.label, a.dimension, a.rater, a.rest",
        )
        duplicates = int(scratch.run("SELECT count(*) FROM answers")[0][0]) - once
        scratch.forget("answers")
        scratch.table("couples", "SELECT pair_id, min(row) AS pair FROM asked WHERE reason IS NULL GROUP BY pair_id")
        self._judge()
        scratch.table(
            "ballots",
            "SELECT pair, dimension, rater, min(row) AS row, arg_min(label, row) AS label, count(*) AS n FROM judged"
            " GROUP BY pair, dimension, rater",
        )
        return duplicates

    def _judge(self) -> None:
        """Table `judged`: rows that vote, for a or b; a nameless row is one more person. View `weighed`: all rows."""
        named = "rater" in self._told.columns
        words_joined = " ".join(f"JOIN {word}_words w_{word} ON w_{word}.no = s.{word}" for word in self._used())
        fault = " OR ".join(f"w_{word}.{word} IS NULL" for word in self._used())
        self._scratch.view(
            "weighed",
            f"SELECT s.row, s.asked, c.pair, q.first_is_a, q.reason, q.detail,"
            f" w_label.label, w_dimension.dimension, {'w_rater.meant' if named else 's.rater'} AS rater,"
            f" {self._fault('reason')} AS word_reason, {self._fault('detail')} AS word_detail, ({fault}) AS is_faulty"
            f" FROM single s JOIN asked q ON q.row = s.asked LEFT JOIN couples c USING (pair_id) {words_joined}",
        )
        rater = "rater" if named else "row_number() OVER (PARTITION BY pair, dimension ORDER BY row) AS rater"
        self._scratch.table(
            "judged",
            f"SELECT row, pair, {_SIDE} AS label, dimension, {rater} FROM weighed"
            " WHERE reason IS NULL AND NOT is_faulty",
        )

    def _used(self) -> list[str]:
        return [word for word in _WORDS if word != "rater" or word in self._told.columns]

    def _fault(self, what: str) -> str:
        reasons = {"label": "bad_label", "dimension": "bad_dimension", "rater": "missing_field"}
        said = {word: f"'{reasons[word]}'" if what == "reason" else f"w_{word}.fault" for word in self._used()}
        return f"CASE{''.join(f' WHEN w_{word}.{word} IS NULL THEN {sql}' for word, sql in said.items())} END"

    def refused(self) -> list[tuple[int, str, str]]:
        """Rows that ask or answer nothing of use: (row, reason, detail). Asked once, before `cast`."""
        sql = (
            "SELECT row, coalesce(reason, word_reason), coalesce(if(reason IS NULL, word_detail, detail), '')"
            " FROM weighed WHERE reason IS NOT NULL OR is_faulty ORDER BY row"
        )
        rows = self._scratch.run(sql)
        self._scratch.forget("weighed", "single")
        return [(int(row), str(reason), str(detail)) for row, reason, detail in rows]

    def learn_raters(self) -> list[str]:
        """Table `raters` (rater, annotator_id) of those who voted; returns their names."""
        if "rater" in self._told.columns:
            used = "SELECT DISTINCT w.rater AS x FROM rater_words w SEMI JOIN ballots b ON b.rater = w.meant"
            words(self._scratch, "people", used, lambda name: annotator_id(self._source, name))
            self._scratch.table(
                "raters", "SELECT DISTINCT w.meant AS rater, p.meaning AS annotator_id, p.given AS name FROM people p"
                " JOIN rater_words w ON w.rater = p.given"
            )  # fmt: skip
        else:
            name = f"source:{self._source}"
            words(self._scratch, "people", "SELECT DISTINCT rater::VARCHAR AS x FROM ballots",
                  lambda turn: name if turn == "1" else f"{name}#{turn}",
                  lambda turn: annotator_id(self._source, name if turn == "1" else f"{name}#{turn}"))  # fmt: skip
            self._scratch.table(
                "raters", "SELECT given::BIGINT AS rater, meaning1 AS annotator_id, meaning AS name FROM people"
            )
        return [name for (name,) in self._scratch.run("SELECT name FROM raters")]

    def cast(self) -> None:
        """View `cast_votes`: ballots with their vote's id. Table `held`: those in the warehouse, as it has them."""
        vote = content_id_sql("vote", self._source, IdColumn("pair_id"), Column("dimension"), IdColumn("annotator_id"))
        # A view, because ten million ids of 32 letters would push everything else out of memory.
        self._scratch.view(
            "cast_votes",
            f"SELECT {vote} AS vote_id, pair_id, dimension, annotator_id, label, pair, rater"
            " FROM ballots JOIN couples USING (pair) JOIN raters USING (rater)",
        )
        known = self._scratch.run("SELECT count(*) FROM votes WHERE source = ?", [self._source])[0][0]
        self._scratch.table(
            "held",
            "SELECT c.pair, c.dimension, c.rater, v.label FROM cast_votes c JOIN votes v USING (vote_id)"
            f" WHERE {bool(known)}",
        )

    def new_ties(self) -> int:
        """How many ballots say tie and are not held."""
        sql = "SELECT count(*) FROM ballots b ANTI JOIN held h USING (pair, dimension, rater) WHERE b.label = 'tie'"
        return int(self._scratch.run(sql)[0][0])

    def conflicts(self) -> list[tuple[int, str, str]]:
        """Rows that say otherwise than their rater's vote, which is the stored one, else the first: (row, old, new)."""
        sql = """
WITH doubtful AS (
    SELECT b.pair, b.dimension, b.rater, coalesce(h.label, b.label) AS old FROM ballots b
    LEFT JOIN held h USING (pair, dimension, rater) WHERE b.n > 1 OR h.label IS NOT NULL)
SELECT j.row, d.old, j.label FROM judged j JOIN doubtful d USING (pair, dimension, rater)
WHERE j.label <> d.old ORDER BY j.row"""
        return [(int(row), str(old), str(new)) for row, old, new in self._scratch.run(sql)]


def _or_none(meaning: Callable[[str], str], value: str) -> str | None:
    try:
        return meaning(value)
    except RowError:
        return None


def _fault(meaning: Callable[[str], str], value: str) -> str:
    try:
        meaning(value)
    except RowError as error:
        return str(error)
    return ""
