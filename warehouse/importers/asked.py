"""What the rows of a table ask, each question once: prompt, two candidates and their pair, or why it cannot be used.

Table `asked`: `row` (the first that asks it), `same` (the first that asks it in whatever spelling), `reason` and
`detail` where it is refused, and the ids and texts that prompts, candidates and pairs are made of. `questions` keeps
the columns as they stand, to find each row's question again. Ids are those of records.py, in SQL.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from warehouse.errors import MediaError
from warehouse.hashing import Column, IdColumn, Part, content_id_sql, literal
from warehouse.importers.comparison import Item
from warehouse.importers.media import MediaFolder
from warehouse.importers.spelling import Spelled, distinct, words
from warehouse.importers.table import MEDIA, name_of
from warehouse.importers.told import SHIFT, Told
from warehouse.records import generator_row
from warehouse.scratch import Scratch

SIDES = ("first", "second")
_ELSEWHERE = "starts_with(x, '/') OR starts_with(x, '..') OR contains(x, chr(0)) OR strlen(x) > 4000"
_MEDIA_SCHEMA = pa.schema(
    [("kind", pa.string()), ("key", pa.string()), ("media_id", pa.string()), ("reason", pa.string()),
     ("detail", pa.string())]
)  # fmt: skip


@dataclass(frozen=True)
class Asking:
    """What all rows of an import share."""

    source: str
    task: str
    kind: str


def _files(root: Path, folders: list[str]) -> Iterator[tuple[str, int]]:
    """Files of these folders below `root`, with their sizes: a folder that is not there costs one look."""
    for folder in folders:
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                for entry in entries:
                    if not entry.is_dir():
                        yield f"{folder}/{entry.name}" if folder else entry.name, entry.stat().st_size
        except (OSError, ValueError):
            continue


class Questions:
    """Makes the tables above from `told`."""

    def __init__(self, scratch: Scratch, told: Told, media: MediaFolder, asking: Asking) -> None:
        self._scratch, self._told, self._media, self._asking = scratch, told, media, asking
        kept = [f"kept_{role}" for role in MEDIA if told.keeps_media and role in told.columns]
        votes = ("label", "rater", "dimension")
        self.given = [f"told_{role}" for role in told.columns if role not in votes] + kept
        self._names = [f"told_{role}" for role in ("name_first", "name_second") if role in told.columns]

    def read(self) -> str:
        """Every question once, and which of its media are there; returns a digest of those files.

        Raises duckdb.Error for a file that is damaged, or holds text that is not UTF-8.
        """
        self._scratch.table("questions", f"SELECT min(row) AS row, {', '.join(self.given)} FROM told GROUP BY ALL")
        self._spelled = Spelled(self._scratch, "questions")
        self._spelled.learn("prompt", ["told_prompt"])
        self._spelled.learn("path", self._paths())
        self._spelled.learn("name", self._names)
        self._learn_models()
        return self._find_media()

    @property
    def has_odd(self) -> bool:
        """Whether two questions may be the same and look different."""
        return self._spelled.has_odd

    def _paths(self) -> list[str]:
        return [f"told_{role}" for role in MEDIA if f"told_{role}" in self.given]

    def _find_media(self) -> str:
        """Table `found`: media by kind and path (or sha256 of embedded bytes), with what is wrong with them."""
        looked_for = self._looked_for()
        self._scratch.view("looked_for", looked_for)
        sql = f"SELECT DISTINCT parse_dirpath(x, 'forward_slash') FROM looked_for WHERE NOT ({_ELSEWHERE})"
        folders = sorted(folder for (folder,) in self._scratch.run(sql))
        listed = list(_files(self._media.root, folders))
        columns = list(zip(*listed, strict=True)) or [(), ()]
        there = pa.table({"path": pa.array(columns[0], pa.string()), "size": pa.array(columns[1], pa.int64())})
        self._scratch.load("there", there)
        wanted = f"SELECT DISTINCT kind, x FROM looked_for WHERE x IN (SELECT path FROM there) OR {_ELSEWHERE}"
        paths = self._scratch.run(f"{wanted} ORDER BY ALL")
        kept = [row for role in MEDIA if f"kept_{role}" in self.given for row in self._kept(role)]
        rows = [self._look(kind, key) for kind, key in dict.fromkeys([*paths, *kept])]
        self._scratch.load("found", pa.Table.from_pylist(rows, _MEDIA_SCHEMA))
        sizes = self._scratch.run(f"SELECT path, size FROM there SEMI JOIN ({wanted}) ON x = path ORDER BY path")
        self._scratch.forget("there")
        return hashlib.sha256(repr(sizes).encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def _looked_for(self) -> str:
        """SQL of (kind, x): paths at which a file may lie."""
        parts = []
        for role in MEDIA:
            if f"told_{role}" in self.given:
                path = self._spelled("path", f"told_{role}")
                kept = f" AND kept_{role} IS NULL" if f"kept_{role}" in self.given else ""
                joins = " ".join(self._spelled.joins)
                kind = f"'{self._kind(role)}' AS kind"
                parts.append(f"SELECT {kind}, {path} AS x FROM questions {joins} WHERE true{kept}")
        return f"SELECT * FROM ({' UNION ALL '.join(parts)}) WHERE x IS NOT NULL AND NOT contains(x, '://')"

    def _kind(self, role: str) -> str:
        return "image" if role == "condition" else self._asking.kind

    def _kept(self, role: str) -> list[tuple[str, str]]:
        sql = distinct([f"kept_{role}"], "questions")
        return [(self._kind(role), key) for (key,) in self._scratch.run(sql)]

    def _look(self, kind: str, key: str) -> dict[str, str | None]:
        found: dict[str, str | None] = {"kind": kind, "key": key}
        try:
            return found | {"media_id": self._media.find(Item(key, path=key), kind)}
        except MediaError as error:
            return found | {"reason": error.reason, "detail": str(error)}

    def make(self) -> None:
        """Table `asked`."""
        said = self._spelled
        parts = ["row", f"{said('prompt', 'told_prompt')} AS text", f"{said.canonical('told_prompt')} AS canonical"]
        parts += self._reasons()
        joins = []
        for role in MEDIA:
            if f"told_{role}" not in self.given:
                continue
            path = said("path", f"told_{role}")
            name, key = path, path
            if f"told_name_{role}" in self.given:
                name = said("name", f"told_name_{role}")
            if role == "condition":
                # One that is not named is nobody else's.
                name = f"coalesce({path}, {self.place_sql('row')} || {literal('/' + self._told.columns[role])})"
            if f"kept_{role}" in self.given:
                key = f"coalesce(kept_{role}, {path})"
            joins.append(f"LEFT JOIN found f_{role} ON f_{role}.kind = '{self._kind(role)}' AND f_{role}.key = {key}")
            parts += [f"{name} AS name_{role}", f"f_{role}.media_id AS media_{role}"]
        for side in SIDES:
            if f"told_model_{side}" in self.given:
                joins.append(f"LEFT JOIN models m_{side} ON m_{side}.given = told_model_{side}")
                parts.append(f"m_{side}.meaning1 AS generator_{side}")
            else:
                parts.append(f"'{_generator('unknown')}' AS generator_{side}")
        self._scratch.table(
            "spelled", f"SELECT {', '.join(parts)} FROM questions {' '.join(said.joins)} {' '.join(joins)}"
        )
        self._ids()

    def _learn_models(self) -> None:
        """Table `models`: what each value of the model columns means, and the generator's id."""
        columns = [f"told_model_{side}" for side in SIDES if f"told_model_{side}" in self.given]
        if columns:
            words(self._scratch, "models", distinct(columns, "questions"), name_of, _generator)

    def makers(self) -> list[str]:
        """Names of the generators of candidates that are shown to somebody."""
        if not any(f"told_model_{side}" in self.given for side in SIDES):
            return ["unknown"]
        named = "SELECT DISTINCT meaning FROM models WHERE meaning1 IN (SELECT generator_id FROM shown)"
        unknown = f"SELECT 'unknown' WHERE '{_generator('unknown')}' IN (SELECT generator_id FROM shown)"
        return [name for (name,) in self._scratch.run(f"{named} UNION {unknown}")]

    def _reasons(self) -> list[str]:
        """SQL of why a question is refused: the first thing that is wrong with it."""
        said = self._spelled
        wrong = [(f"{said('prompt', 'told_prompt')} IS NULL", "missing_field", "prompt")]
        for side in SIDES:
            named, path = f"told_name_{side}", f"told_{side}"
            wrong.append((f"{said('name', named)} IS NULL", "missing_field", f"name_{side}") if named in self.given
                         else (f"{said('path', path)} IS NULL", "missing_field", side))  # fmt: skip
            if f"told_model_{side}" in self.given:
                wrong.append((f"m_{side}.meaning IS NULL", "missing_field", f"model_{side}"))
        reason = "".join(f" WHEN {test} THEN '{why}'" for test, why, _ in wrong)
        detail = "".join(
            f" WHEN {test} THEN {literal(f'no {self._told.columns[role]}, got ')} || coalesce(told_{role}, 'nothing')"
            for test, _, role in wrong
        )
        media = [role for role in ("condition", *SIDES) if f"told_{role}" in self.given]
        for field in ("reason", "detail"):
            faults = "".join(f" WHEN f_{role}.reason IS NOT NULL THEN f_{role}.{field}" for role in media)
            reason, detail = (reason + faults, detail) if field == "reason" else (reason, detail + faults)
        return [f"CASE{reason} END AS reason", f"CASE{detail} END AS detail"]

    def _ids(self) -> None:
        asking, condition = self._asking, "told_condition" in self.given
        named = content_id_sql("condition", asking.source, Column("name_condition"))
        picture = f"coalesce(media_condition, 'absent:' || {named})" if condition else "NULL"
        pictured: Part | Column = Column("condition_id") if condition else None
        prompt = content_id_sql("prompt", asking.task, Column("canonical"), pictured)
        first, second = (self._candidate(side) for side in SIDES)
        pair = content_id_sql("pair", IdColumn("prompt_id"), None, IdColumn("least(c_first, c_second)"),
                              IdColumn("greatest(c_first, c_second)"))  # fmt: skip
        # Rows that mean the same and look different are one question.
        same = f"min(row) OVER (PARTITION BY {', '.join(self._meant())})" if self._spelled.has_odd else "row"
        self._scratch.table(
            "asked",
            f"""
WITH a AS (SELECT *, {picture} AS condition_id, {first} AS c_first, {second} AS c_second FROM spelled),
b AS (SELECT *, {prompt} AS prompt_id FROM a)
SELECT * EXCLUDE (reason, detail), {same} AS same, c_first < c_second AS first_is_a, {pair} AS pair_id,
    CASE WHEN reason IS NULL AND (canonical = '' OR c_first = c_second) THEN 'bad_row' ELSE reason END AS reason,
    CASE WHEN reason IS NULL AND canonical = '' THEN 'an empty prompt'
        WHEN reason IS NULL AND c_first = c_second THEN 'a pair of one candidate with itself: ' || c_first
        ELSE detail END AS detail
FROM b""",
        )
        self._scratch.forget("spelled")

    def _meant(self) -> list[str]:
        """Columns that say what a question means; its text stays as it stands."""
        meant = ["text", *(f"{part}_{side}" for side in SIDES for part in ("name", "media", "generator"))]
        return [*meant, "condition_id"]

    def _candidate(self, side: str) -> str:
        about = ("candidate", self._asking.source, Column(f"name_{side}"))
        absent = content_id_sql(*about, None)
        if not self._scratch.run("SELECT count(*) FROM found")[0][0]:
            return absent
        there = content_id_sql(*about, Column(f"media_{side}"))
        return f"CASE WHEN media_{side} IS NULL THEN {absent} ELSE {there} END"

    def place_sql(self, row: str) -> str:
        """SQL of `file:row` of a row's number."""
        files = "[" + ", ".join(literal(name) for name in self._told.names) + "]"
        return f"({files})[({row} >> {SHIFT}) + 1] || ':' || ({row} & {(1 << SHIFT) - 1})"


def _generator(name: str) -> str:
    return str(generator_row(name_of(name) or "unknown", "imported", "unknown")["generator_id"])
