"""Tables by columns: SQL and Python agree on every id and meaning, however a value is spelled and a file is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from warehouse import Warehouse, open_warehouse
from warehouse.errors import InvalidInputError
from warehouse.hashing import canonical_text
from warehouse.importers.by_columns import TableImport
from warehouse.importers.comparison import FormatOptions
from warehouse.importers.reading import Reading
from warehouse.importers.store import Source, side_label
from warehouse.importers.table import TABLE, name_of, path_of
from warehouse.importers.table import side_label as label_of
from warehouse.records import annotator_row, candidate_row, generator_row, pair_row, prompt_row, vote_row

COLUMNS = {role: role for role in ("prompt", "first", "second", "label", "rater", "model_first")}
SOURCE = Source("ours", "t2i", "image", "id", None)


def meant(row: tuple[str, ...]) -> tuple[Any, ...]:
    """Rows that mean the same in every field count once."""
    prompt, first, second, label, rater, model = row
    return prompt if prompt.strip() else None, path_of(first), path_of(second), label, rater, name_of(model)


BLANKS = st.sampled_from(["", " ", "\t", "\u00a0", "\u2003", "\x1f", "\x85"])
WORDS = st.sampled_from(
    ["a dog", "A  Dog", "ein Hund", "stra\u00dfe", "\ufb01sh", "\u0130", "\x00", "\u00c5", "\u212b"]
)
PROMPTS = st.tuples(BLANKS, WORDS | st.text(max_size=6), BLANKS).map("".join)
PATHS = st.sampled_from(["a.png", "./a.png", "b//c.png", "b/c.png", " d.png", "e\\f.png", "e/f.png", "https://x/y.png",
                         "\u00e9.png", ".png", "g/./h.png", "g/.h.png", "", "  ", ".."])  # fmt: skip
NAMES = st.sampled_from(["ann", " ann", "bob\u00a0", "7", "nan", "None", "", "\u00c5sa"])
LABELS = st.sampled_from(["first", " second", "tie", "both_bad", "up", "", "FIRST"])
ROWS = st.lists(st.tuples(PROMPTS, PATHS, PATHS, LABELS, NAMES, NAMES), min_size=1, max_size=25, unique_by=meant)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with open_warehouse(str(tmp_path_factory.mktemp("by-columns"))) as opened:
        yield opened


@contextmanager
def read(place: Warehouse, path: Path, labels: dict[str, str] | None = None, **columns: str) -> Iterator[TableImport]:
    options = FormatOptions(columns=COLUMNS | columns, labels=labels or {})
    with place.scratch() as scratch:
        table = TableImport(
            place, scratch, lambda: Reading(TABLE, options, path.parent, [path]), path.parent, options, SOURCE
        )
        table.read()
        yield table


def votes(table: TableImport) -> set[tuple[str, ...]]:
    """What would be written: vote, pair, both candidates, prompt, label."""
    table.ballots.make()
    table.ballots.learn_raters()
    table.ballots.cast()
    sql = """
SELECT v.vote_id, v.pair_id, c_first, c_second, prompt_id, generator_first, v.label
FROM cast_votes v JOIN couples USING (pair_id) JOIN asked q ON q.row = couples.pair"""
    return set(table.scratch.run(sql))


def expected(rows: list[tuple[str, ...]]) -> tuple[set[tuple[str, ...]], int]:
    """The same by Python alone, a row at a time; and how many rows are refused."""
    found: dict[str, tuple[str, ...]] = {}
    known: dict[str, tuple[str, ...]] = {}
    refused = 0
    for prompt, first, second, label, rater, model in rows:
        sides = path_of(first), path_of(second)
        said = label.strip() if label.strip() in ("first", "second", "tie", "both_bad") else None
        climbs = any(side is not None and side.startswith("..") for side in sides)
        if climbs or not (prompt.strip() and all(sides) and said and name_of(rater) and name_of(model)):
            refused += 1
            continue
        row = prompt_row(prompt, "t2i", "image", "ours")
        maker = generator_row(str(name_of(model)), "imported", "unknown")["generator_id"]
        a, b = (candidate_row(row["prompt_id"], maker, None, None, {}, "t2i", "ours", str(side))["candidate_id"]
                for side in sides)  # fmt: skip
        if a == b:
            refused += 1
            continue
        pair = pair_row(row["prompt_id"], a, b, "t2i", "imported", "ours")
        who = annotator_row("imported", f"ours/{name_of(rater)}")["annotator_id"]
        side = side_label(label_of(label, {}), a < b)
        vote = vote_row(None, pair["pair_id"], "overall", who, side, "ours", datetime(2026, 1, 1))["vote_id"]
        asked = known.setdefault(pair["pair_id"], (a, b, row["prompt_id"], maker))
        refused += found.setdefault(vote, (vote, pair["pair_id"], *asked, side))[-1] != side
    return set(found.values()), refused


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
@example(rows=[("a dog", "a.png", "..", "first", "ann", "ann")])
def test_sql_and_python_agree_on_every_id(place: Warehouse, tmp_path: Path, rows: list[tuple[str, ...]]) -> None:
    """Scanned as Parquet, and spelled from JSON lines."""
    wanted, refused = expected(rows)
    listed = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    pq.write_table(pa.Table.from_pylist(listed), tmp_path / "x.parquet")
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in listed))
    for name in ("x.parquet", "x.jsonl"):
        with read(place, tmp_path / name) as table:
            assert votes(table) == wanted, name
            assert len(table.ballots.refused()) + len(table.ballots.conflicts()) == refused, name


@given(text=PROMPTS | st.text())
def test_canonical_text_of_ascii_in_sql(text: str) -> None:
    from warehouse.importers.spelling import canonical_sql

    if text.isascii():
        assert duckdb.execute(f"SELECT {canonical_sql('$1')}", [text]).fetchall() == [(canonical_text(text),)]


def test_rows_equal_in_every_field_count_once(place: Warehouse, tmp_path: Path) -> None:
    """In whatever spelling of a path; a column that no role names makes a difference."""
    row = {role: "a.png" for role in COLUMNS} | {"second": "b.png", "label": "tie", "time": 1}
    rows = [row, row | {"first": "./a.png"}, row, row | {"time": 2}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("x.parquet", "x.jsonl"):
        with read(place, tmp_path / name, rater="") as table:
            assert table.ballots.make() == 2 and table.scratch.run("SELECT count(*) FROM ballots") == [(2,)], name


def test_labels_may_be_of_any_type(place: Warehouse, tmp_path: Path) -> None:
    labels = {"1": "first", "true": "second", "None": "tie", "X": "both_bad"}
    row = {"prompt": "p", "first": "a.png", "second": "b.png", "model_first": "m"}
    given = (1, 1.0, " 1", True, "TRUE", "None", "x", None, "2", [1])
    rows: list[dict[str, Any]] = [{**row, "label": label, "rater": number} for number, label in enumerate(given)]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(
        pa.Table.from_pylist([row | {"label": float(n), "rater": n} for n in (1, 0)]), tmp_path / "x.parquet"
    )
    with read(place, tmp_path / "x.jsonl", labels) as table:
        assert len(votes(table)) == 7
        said = table.ballots.refused()
        assert [(number, reason) for number, reason, _ in said] == [
            (8, "bad_label"),
            (9, "bad_label"),
            (10, "bad_label"),
        ]
    with read(place, tmp_path / "x.parquet", labels) as table:
        assert len(votes(table)) == 1 and [reason for _, reason, _ in table.ballots.refused()] == ["bad_label"]


def test_text_that_is_not_utf_8_costs_its_own_row(place: Warehouse, tmp_path: Path) -> None:
    texts = pa.array([b"good", b"\xff\xfe", b"fine"]).view(pa.string())
    other = {role: ["x.png", "y.png", "z.png"] for role in ("rater", "model_first", "second")}
    pq.write_table(
        pa.table({"prompt": texts, "first": ["a", "b", "c"], "label": ["tie"] * 3, **other}), tmp_path / "x.parquet"
    )
    with read(place, tmp_path / "x.parquet") as table:
        assert len(votes(table)) == 2 and [(row, reason) for row, reason, _ in table.told.refused] == [(2, "bad_row")]


@pytest.mark.parametrize("rows", [[{"prompt": "p", "first": "a", "label": "tie"}], []])
def test_tables_of_no_use(place: Warehouse, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in (rows or [COLUMNS])[0]])),
                   tmp_path / "x.parquet")  # fmt: skip
    with pytest.raises(InvalidInputError, match="second" if rows else "no rows"), read(place, tmp_path / "x.parquet"):
        pass
    assert not place.rows("SELECT table_name FROM duckdb_tables() WHERE database_name = 'temp'")
