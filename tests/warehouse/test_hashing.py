from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse import Warehouse
from warehouse.hashing import (
    Column,
    canonical_json,
    canonical_text,
    content_id,
    content_id_sql,
    netstrings,
    netstrings_sql,
)

parts = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary())


@given(st.lists(parts, max_size=4), st.lists(parts, max_size=4))
def test_different_parts_have_different_ids(first: list[object], second: list[object]) -> None:
    same = [(type(x), repr(x)) for x in first] == [(type(x), repr(x)) for x in second]
    assert (content_id(*first) == content_id(*second)) is same  # type: ignore[arg-type]


def test_parts_do_not_run_together() -> None:
    assert len({content_id("ab", "c"), content_id("a", "bc"), content_id("abc"), content_id("abc", None)}) == 4


def test_frozen_id() -> None:
    # Made by hand: sha256(b"s" + 8-byte length + b"prompt" + b"i" + 8-byte length + b"7"), first 32 digits.
    import hashlib

    expected = hashlib.sha256(b"s\0\0\0\0\0\0\0\x06prompti\0\0\0\0\0\0\0\x017").hexdigest()[:32]
    assert content_id("prompt", 7) == expected


def test_numpy_floats_are_floats() -> None:
    assert content_id(np.float64(0.25)) == content_id(0.25)


@given(st.dictionaries(st.text(), st.integers()))
def test_json_does_not_depend_on_order(value: dict[str, int]) -> None:
    assert canonical_json(value) == canonical_json(dict(reversed(value.items())))


def test_json_refuses_nan() -> None:
    with pytest.raises(ValueError):
        canonical_json(float("nan"))


def test_texts_that_read_the_same() -> None:
    assert canonical_text("  A red\n\t\uff22all ") == canonical_text("a RED ball") == "a red ball"


TEXTS = ["", "a", "é", "日本語 🙂", "it's", 'say "x"\n\t\x1f', "x" * 300]


def test_the_database_makes_the_same_ids(warehouse: Warehouse) -> None:
    for first in TEXTS:
        sql = content_id_sql("kind", Column("t"), 7, Column("u"))
        found = warehouse.rows(f"SELECT {sql} AS id FROM (SELECT ?::VARCHAR AS t, 'u' AS u)", [first])
        assert found == [{"id": content_id("kind", first, 7, "u")}]
        joined = warehouse.rows(f"SELECT {netstrings_sql(['t', 't'])} AS n FROM (SELECT ?::VARCHAR AS t)", [first])
        assert joined[0]["n"].encode() == netstrings([first, first])


def test_the_database_writes_floats_as_python_does(warehouse: Warehouse) -> None:
    values = [0.0, 1.0, 0.5, 1 / 3, 2 / 3, 0.1, 1e-5, 1e-7, 29.97, 1e22, 5e-324, *np.random.default_rng(0).random(500)]
    rows = warehouse.rows("SELECT x, printf('%.17g', x) AS text FROM (SELECT unnest(?::DOUBLE[]) AS x)", [values])
    assert all(f"{row['x']:.17g}" == row["text"] for row in rows)
