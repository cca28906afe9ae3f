from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.errors import InvalidInputError
from warehouse.hashing import canonical_text, content_id
from warehouse.records import pair_row, prompt_row, vote_row

_PARTS = st.lists(st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.booleans()), max_size=4)


@given(_PARTS, _PARTS)
def test_ids_differ_unless_parts_are_equal(first: list[object], second: list[object]) -> None:
    same = [(type(x), x) for x in first] == [(type(x), x) for x in second]
    assert (content_id(*first) == content_id(*second)) is same


@given(st.text())
def test_canonical_text_is_stable(text: str) -> None:
    assert canonical_text(canonical_text(text)) == canonical_text(text)


def test_prompts_that_read_the_same_are_one() -> None:
    first = prompt_row("A  red Circle", "t2i", "image", "x")
    assert first["prompt_id"] == prompt_row("a red circle", "t2i", "image", "y")["prompt_id"]
    assert first["prompt_id"] != prompt_row("a red circle", "t2v", "video", "y")["prompt_id"]


@given(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8))
def test_a_pair_has_no_order(first: str, second: str) -> None:
    if first == second:
        with pytest.raises(InvalidInputError):
            pair_row("p", first, second, "t2i", "random", "s")
    else:
        assert pair_row("p", first, second, "t2i", "x", "s") == pair_row("p", second, first, "t2i", "x", "s")
        across = pair_row("p", first, second, "t2i", "x", "s", "q")
        assert across == pair_row("q", second, first, "t2i", "x", "s", "p")


def test_unknown_labels_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="left"):
        vote_row("t", "p", "overall", "r", "left", "s", datetime(2026, 1, 1))
