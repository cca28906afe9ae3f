from __future__ import annotations

import pytest

from warehouse import Warehouse
from warehouse.errors import InvalidInputError
from warehouse.sql import query


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
