"""Numbered, once, forward only: from every earlier number to the schema of today."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from warehouse import migrate, open_warehouse
from warehouse.errors import NewerSchemaError

KNOWN = migrate.known()
FOLDER = KNOWN[0].path.parent


def _software(folder: Path, upto: int, monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    """Make this process the software that knew the first migrations up to number `upto`, and `more`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for migration in KNOWN:
        if migration.number <= upto:
            shutil.copy(migration.path, folder)
    for name, sql in more.items():
        (folder / f"{name.removeprefix('m')}.sql").write_text(sql)
    monkeypatch.setattr(migrate, "_FOLDER", folder)


def _schema(url: str) -> dict[str, dict[str, str]]:
    with open_warehouse(url) as warehouse:
        return warehouse._read_columns()


@pytest.mark.parametrize("number", [migration.number for migration in KNOWN])
def test_from_every_earlier_number_to_todays_schema(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(tmp_path / "old")
    _software(tmp_path / "software", number, monkeypatch)
    with open_warehouse(url) as warehouse:
        warehouse.merge("prompts", [{"prompt_id": "p", "text": "kept"}])
    monkeypatch.setattr(migrate, "_FOLDER", FOLDER)
    with open_warehouse(url) as warehouse:
        assert warehouse.rows("SELECT text FROM prompts") == [{"text": "kept"}]
        numbers = [row["number"] for row in warehouse.rows("SELECT number FROM migrations ORDER BY number")]
    assert numbers == [migration.number for migration in KNOWN]
    assert _schema(url) == _schema(str(tmp_path / "fresh"))


def test_each_is_applied_once_and_a_late_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, newest = str(tmp_path / "w"), KNOWN[-1].number
    late = {
        "m9000_late": "CREATE TABLE late (x INTEGER);",
        "m9002_last": "ALTER TABLE prompts ADD COLUMN mood VARCHAR;",
    }
    _software(tmp_path / "software", newest, monkeypatch, **late)
    assert _schema(url)["prompts"]["mood"] == "VARCHAR"
    # A number between, merged later: it is missing, so it is applied.
    _software(tmp_path / "software", newest, monkeypatch, **late, m9001_between="INSERT INTO late VALUES (1);")
    for _ in range(2):
        with open_warehouse(url) as warehouse:
            assert warehouse.rows("SELECT x FROM late") == [{"x": 1}]
    with open_warehouse(url) as warehouse:
        rows = warehouse.rows("SELECT number, count(*) AS n FROM migrations GROUP BY number")
    assert all(row["n"] == 1 for row in rows) and len(rows) == len(KNOWN) + 3


def test_a_newer_warehouse_is_refused_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = str(tmp_path / "w")
    _software(tmp_path / "software", KNOWN[-1].number, monkeypatch, m9999_future="CREATE TABLE future (x INTEGER);")
    schema = _schema(url)
    monkeypatch.setattr(migrate, "_FOLDER", FOLDER)
    with pytest.raises(NewerSchemaError, match="9999"):
        open_warehouse(url)
    monkeypatch.setattr(migrate, "_FOLDER", tmp_path / "software")
    assert _schema(url) == schema


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, newest = str(tmp_path / "w"), KNOWN[-1].number
    before = _schema(url)
    _software(tmp_path / "software", newest, monkeypatch, m9000_bad="CREATE TABLE half (x INTEGER); SELECT nonsense;")
    with pytest.raises(duckdb.Error, match="nonsense"):
        open_warehouse(url)
    monkeypatch.setattr(migrate, "_FOLDER", FOLDER)
    assert _schema(url) == before
