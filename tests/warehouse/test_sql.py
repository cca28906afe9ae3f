from __future__ import annotations

import re
from pathlib import Path

import pytest

from warehouse import Warehouse
from warehouse.errors import InvalidInputError
from warehouse.sql import query
from warehouse.views import VIEWS

DOCS = Path(__file__).resolve().parents[2] / "docs" / "sql.md"


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM prompts",
        "SELECT 1; SELECT 2",
        "SELEKT 1",
        "SELECT * FROM nothing",
        "SELECT * FROM ducklake_expire_snapshots('lake', versions => [1])",
        "SELECT * FROM ducklake_cleanup_old_files('lake', cleanup_all => true)",
        "COPY prompts TO 'x.csv'",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '/etc/passwd'",
        "",
    ],
)
def test_what_could_write_is_refused(warehouse: Warehouse, text: str) -> None:
    warehouse.merge("prompts", [{"prompt_id": "p"}])
    before = warehouse.rows("SELECT snapshot_id FROM ducklake_snapshots('lake')")
    with pytest.raises(InvalidInputError):
        query(warehouse, text)
    assert warehouse.rows("SELECT snapshot_id FROM ducklake_snapshots('lake')") == before


def test_reading_and_time_travel(warehouse: Warehouse) -> None:
    warehouse.merge("prompts", [{"prompt_id": "p"}])
    then = warehouse.snapshot()
    warehouse.merge("prompts", [{"prompt_id": "q"}])
    assert query(warehouse, "SELECT prompt_id FROM prompts ORDER BY 1; -- all").to_pylist() == [
        {"prompt_id": "p"},
        {"prompt_id": "q"},
    ]
    assert query(warehouse, f"SELECT prompt_id FROM prompts AT (VERSION => {then})").num_rows == 1
    assert query(warehouse, "SELECT prompt_id FROM prompts", limit=1).num_rows == 1
    assert query(warehouse, "SELECT prompt_id FROM prompts", at=then).num_rows == 1
    with pytest.raises(InvalidInputError, match="no snapshot 999"):
        query(warehouse, "SELECT 1", at=999)


def _examples() -> list[str]:
    return re.findall(r"```sql\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


def test_every_example_of_the_page_answers(calm: Warehouse) -> None:
    assert len(_examples()) >= 15
    # The page writes ids and names of its own; the rows of this warehouse stand in for them.
    for example in _examples():
        found = query(calm, example.replace("first", "calm"))
        assert found.num_rows > 0 or "rejects" in example or "reject_reasons" in example, example


def test_the_page_lists_every_view_and_every_view_has_its_line() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name, view in VIEWS.items():
        assert f"| `{name}` | {view.about} |" in text, name
    assert all(any(name in example for example in _examples()) for name in VIEWS)


def test_views_stand_as_they_did_at_a_snapshot(calm: Warehouse) -> None:
    then = calm.rows("SELECT snapshot_id FROM dataset_versions WHERE version = 1")[0]["snapshot_id"]
    count = "SELECT count(*) AS n FROM live_votes"
    before, now = (query(calm, count, at=at).to_pylist()[0]["n"] for at in (then, None))
    assert now == before + 6 and query(calm, "SELECT * FROM dataset_samples", at=then).num_rows == 0
