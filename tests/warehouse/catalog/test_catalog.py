from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.warehouse.catalog.servers import MakeUrl, free_port
from warehouse import Warehouse, open_warehouse
from warehouse.catalog import read_only
from warehouse.errors import BackendError, ConfigError, DiskFullError, InvalidInputError, NotFoundError
from warehouse.media.encode import encode_png
from warehouse.records import licence_row


@pytest.fixture
def warehouse(make_url: MakeUrl) -> Iterator[Warehouse]:
    """An empty warehouse of each kind."""
    with open_warehouse(make_url()) as opened:
        yield opened


metric = st.builds(
    lambda key, step, value: {"run_key": key, "step": step, "name": "loss", "value": value},
    st.sampled_from(["x", "y"]),
    st.integers(0, 4),
    st.floats(-1, 1),
)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def test_digest_ignores_order_and_times(make_url: MakeUrl) -> None:
    rows = [{"watermark": i} for i in range(5)]
    digests = []
    for name, order in (("one", rows), ("two", rows[::-1])):
        with open_warehouse(make_url()) as opened:
            for row in order:
                opened.merge("watermarks", [{"name": str(row["watermark"]), "value": "v"}], run_id=name)
            digests.append(opened.digest("SELECT * FROM watermarks"))
    assert digests[0] == digests[1]


def test_a_second_process_sees_the_latest_rows(warehouse: Warehouse) -> None:
    with open_warehouse(warehouse.url) as other:
        warehouse.merge("prompts", [{"prompt_id": "p"}])
        assert other.rows("SELECT prompt_id FROM prompts") == [{"prompt_id": "p"}]


def test_every_table_has_a_key_among_its_columns(warehouse: Warehouse) -> None:
    from warehouse.tables import KEYS, MUTABLE

    assert set(warehouse._columns) - {"migrations"} == set(KEYS)
    assert set(KEYS) >= MUTABLE
    assert all(set(key) <= set(warehouse._columns[table]) for table, key in KEYS.items())


def test_import_is_quick_and_free_of_torch() -> None:
    code = (
        "import sys, time; t = time.process_time(); import warehouse; s = time.process_time() - t; "
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


def test_media_lie_where_the_warehouse_lies(make_url: MakeUrl) -> None:
    """What one machine stores, another one reads, and an erasure is one for both."""
    url, data = make_url(), encode_png(np.zeros((8, 8, 3), np.uint8))
    with open_warehouse(url) as first:
        info = first.media.put(data)
        first.merge("media", [{"media_id": info.media_id, "uri": first.media.uri(info)}])
        if first.remote:
            shutil.rmtree(first.root)
    with open_warehouse(url) as second:
        assert second.media.exists(info.media_id) and second.media.get(info.media_id) == data
        assert (second.root / second.rows("SELECT uri FROM media")[0]["uri"]).read_bytes() == data
        second.media.remove(info.media_id)
        assert not second.media.exists(info.media_id)
        with pytest.raises(NotFoundError):
            second.media.get(info.media_id)


def test_reading_alone_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.merge("licences", [licence_row("MIT")])
    connection = read_only(warehouse)
    assert connection.execute("SELECT count(*) FROM licences").fetchall() == [(1,)]
    with pytest.raises(duckdb.Error):
        connection.execute("DELETE FROM licences")
    connection.close()


@pytest.mark.parametrize(
    "url", ["mysql://h/d?data=/x", "postgresql://h/d", "postgresql://h?data=/x", "postgresql://h/d?data=gs://b"]
)
def test_urls_that_are_no_warehouse(url: str) -> None:
    with pytest.raises(ConfigError, match="data="):
        open_warehouse(url)


def test_a_server_that_is_not_there_and_no_password_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(BackendError) as caught:
        open_warehouse(f"postgresql://user:secret@127.0.0.1:{free_port()}/db?data={tmp_path}")
    assert "secret" not in str(caught.value) and "user:***@" in str(caught.value)


def test_threads_are_as_many_as_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARDDANCE_THREADS", "3")
    with open_warehouse(str(tmp_path / "w")) as warehouse:
        assert warehouse.rows("SELECT current_setting('threads') AS n") == [{"n": 3}]
    for told in ("many", "0", "-1"):
        monkeypatch.setenv("REWARDDANCE_THREADS", told)
        with pytest.raises(ConfigError, match="number of threads"):
            open_warehouse(str(tmp_path / "w"))
