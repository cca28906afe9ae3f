from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse import Warehouse, open_warehouse
from warehouse.catalog import read_only
from warehouse.errors import ConfigError, DiskFullError, InvalidInputError, NewerSchemaError, NotFoundError
from warehouse.records import licence_row

metric = st.builds(
    lambda key, step, value: {"run_key": key, "step": step, "name": "loss", "value": value},
    st.sampled_from(["x", "y"]),
    st.integers(0, 4),
    st.floats(-1, 1),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(metric, max_size=12))
def test_merging_twice_is_merging_once(warehouse: Warehouse, rows: list[dict[str, object]]) -> None:
    keys = {(row["run_key"], row["step"]) for row in rows}
    before = warehouse.rows("SELECT count(*) AS n FROM metrics")[0]["n"]
    new = warehouse.merge("metrics", rows)
    digest = warehouse.digest("SELECT * FROM metrics")
    assert warehouse.rows("SELECT count(*) AS n FROM metrics")[0]["n"] == before + new
    assert new <= len(keys)
    assert warehouse.merge("metrics", list(reversed(rows))) == 0
    assert warehouse.digest("SELECT * FROM metrics") == digest


def test_fixed_rows_stay_and_mutable_rows_change(warehouse: Warehouse) -> None:
    for label in ("first", "second"):
        warehouse.merge("prompts", [{"prompt_id": "p", "text": label}])
        warehouse.merge("watermarks", [{"name": "w", "value": label}])
    assert warehouse.rows("SELECT text, task FROM prompts") == [{"text": "first", "task": None}]
    assert warehouse.rows("SELECT value FROM watermarks") == [{"value": "second"}]


def test_the_last_of_repeated_rows_wins(warehouse: Warehouse) -> None:
    rows = [{"name": "w", "value": str(i)} for i in range(3)]
    assert warehouse.merge("watermarks", rows) == 1
    assert warehouse.rows("SELECT value FROM watermarks") == [{"value": "2"}]


def test_arrow_rows_get_types_and_run_id(warehouse: Warehouse) -> None:
    table = pa.table({"run_key": ["x"] * 10_000, "step": [str(i) for i in range(10_000)], "name": ["n"] * 10_000})
    assert warehouse.merge("metrics", table, run_id="r") == 10_000
    assert warehouse.merge("metrics", table, run_id="r") == 0
    row = warehouse.rows("SELECT max(step) AS step, min(run_id) AS run_id FROM metrics")[0]
    assert row == {"step": 9_999, "run_id": "r"}


def test_bad_merges_are_refused(warehouse: Warehouse) -> None:
    with pytest.raises(NotFoundError):
        warehouse.merge("nothing", [{"x": 1}])
    with pytest.raises(ConfigError, match="colour"):
        warehouse.merge("prompts", [{"prompt_id": "p", "colour": "red"}])
    with pytest.raises(ConfigError, match="colour"):
        warehouse.merge("prompts", pa.table({"prompt_id": ["p"], "colour": ["red"]}))
    with pytest.raises(InvalidInputError, match="prompt_id"):
        warehouse.merge("prompts", [{"prompt_id": None, "text": "a"}])
    assert warehouse.rows("SELECT * FROM prompts") == []


def test_a_commit_is_all_or_nothing(warehouse: Warehouse) -> None:
    with pytest.raises(RuntimeError), warehouse.commit():
        warehouse.merge("prompts", [{"prompt_id": "p"}])
        raise RuntimeError("stop")
    assert warehouse.rows("SELECT * FROM prompts") == []
    with warehouse.commit("two tables"):
        warehouse.merge("prompts", [{"prompt_id": "p"}])
        warehouse.merge("media", [{"media_id": "m"}])
    assert len(warehouse.rows("SELECT * FROM prompts")) == len(warehouse.rows("SELECT * FROM media")) == 1


def test_a_full_disk_leaves_nothing_half_written(warehouse: Warehouse) -> None:
    with pytest.raises(DiskFullError), warehouse.commit():
        warehouse.merge("prompts", [{"prompt_id": "p"}])
        raise OSError(errno.ENOSPC, "No space left on device")
    assert warehouse.rows("SELECT * FROM prompts") == []


def test_digest_ignores_order_and_times(tmp_path: Path) -> None:
    rows = [{"watermark": i} for i in range(5)]
    digests = []
    for name, order in (("one", rows), ("two", rows[::-1])):
        with open_warehouse(str(tmp_path / name)) as opened:
            for row in order:
                opened.merge("watermarks", [{"name": str(row["watermark"]), "value": "v"}], run_id=name)
            digests.append(opened.digest("SELECT * FROM watermarks"))
    assert digests[0] == digests[1]


def test_a_second_process_sees_the_latest_rows(warehouse: Warehouse) -> None:
    with open_warehouse(warehouse.url) as other:
        warehouse.merge("prompts", [{"prompt_id": "p"}])
        assert other.rows("SELECT prompt_id FROM prompts") == [{"prompt_id": "p"}]


def test_a_newer_schema_is_refused(warehouse: Warehouse) -> None:
    with warehouse.commit():
        warehouse._connection.execute("INSERT INTO migrations VALUES (9999, 'future', now()::TIMESTAMP)")
    with pytest.raises(NewerSchemaError, match="9999"):
        open_warehouse(warehouse.url)


def test_every_table_has_a_key_among_its_columns(warehouse: Warehouse) -> None:
    from warehouse.tables import KEYS, MUTABLE

    assert set(warehouse._columns) - {"migrations"} == set(KEYS)
    assert set(KEYS) >= MUTABLE
    assert all(set(key) <= set(warehouse._columns[table]) for table, key in KEYS.items())


def test_import_is_quick_and_free_of_torch() -> None:
    code = (
        "import sys, time; t = time.perf_counter(); import warehouse; s = time.perf_counter() - t; "
        "assert 'torch' not in sys.modules; print(s)"
    )
    seconds = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(3)]
    assert min(seconds) < 1.0


def test_a_moved_folder_opens_where_it_lies_now(tmp_path: Path) -> None:
    with open_warehouse(str(tmp_path / "first")) as opened:
        opened.merge("licences", [licence_row("MIT")])
    (tmp_path / "first").rename(tmp_path / "second")
    with open_warehouse(str(tmp_path / "second")) as opened:
        assert opened.rows("SELECT name FROM licences") == [{"name": "MIT"}]
        assert read_only(opened).execute("SELECT count(*) FROM licences").fetchall() == [(1,)]
