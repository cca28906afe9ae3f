"""Exports read back with the tools they are for; raters have other names in each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest

from tests.warehouse.two_versions import Ids
from warehouse import Warehouse, open_warehouse
from warehouse.datasets.recipe import SPLITS
from warehouse.errors import ConfigError, ConflictError
from warehouse.export import FORMATS, export
from warehouse.hashing import sha256_hex
from warehouse.shards import Sample, open_split

Exports = dict[str, tuple[Path, dict[str, Any]]]


@pytest.fixture(scope="module")
def calm(two_versions_root: tuple[Path, Ids], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A copy: exports are written into the audit, and other tests count them."""
    folder = tmp_path_factory.mktemp("exporting") / "warehouse"
    shutil.copytree(two_versions_root[0], folder)
    with open_warehouse(str(folder)) as warehouse:
        yield warehouse


@pytest.fixture(scope="module")
def made(calm: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Exports:
    folder = tmp_path_factory.mktemp("exports")
    return {name: (folder / name, export(calm, "calm@1", name, folder / name)) for name in FORMATS}


def _samples(warehouse: Warehouse) -> dict[str, Sample]:
    splits = [open_split(warehouse, "calm", 1, split) for split in SPLITS]
    return {split[index].key: split[index] for split in splits for index in range(len(split))}


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def test_jsonl_says_everything_and_names_nobody(calm: Warehouse, ids: Ids, made: Exports) -> None:
    folder, said = made["jsonl"]
    samples, rows = _samples(calm), _lines(folder)
    assert sum(said["splits"].values()) == len(rows) == len(samples) and said["raters"] == 4
    for row in rows:
        sample = samples[row["key"]]
        assert (folder / row["a"]).read_bytes() == sample.a and (folder / row["b"]).read_bytes() == sample.b
        assert (row["prompt"], row["p_a"]) == (sample.prompt, sample.facts["p_a"])
        assert len(row["votes"]) == row["n_votes"]
    text = "".join(path.read_text() for path in folder.glob("*.jsonl"))
    inside = [row["vote_id"] for row in calm.rows("SELECT vote_id FROM votes")]
    for secret in (*ids.raters.values(), ids.rationale, *inside, "rater-22a3d083"):
        assert secret not in text
    assert next(row for row in rows if "SECRETWORD" in row["rationale"])["rationale_author"].startswith("rater-")


def test_two_exports_cannot_be_joined_on_raters(made: Exports) -> None:
    first = {vote["rater"] for row in _lines(made["jsonl"][0]) for vote in row["votes"]}
    rows = pq.read_table(made["parquet"][0] / "train.parquet").to_pylist()
    second = {vote["rater"] for row in rows for vote in row["votes"]}
    assert len(first) == len(second) == 4 and not first & second


def test_trl_asks_and_answers_as_the_votes_do(calm: Warehouse, made: Exports) -> None:
    folder, rows = made["trl"][0], _lines(made["trl"][0])
    decided = {key: sample for key, sample in _samples(calm).items() if sample.facts["p_a"] != 0.5}
    expected = {
        (sha256_hex(sample.b), sha256_hex(sample.a), sample.facts["dimension"], sample.facts["p_a"] > 0.5)
        for sample in decided.values()
    }
    found = set()
    for row in rows:
        parts = row["prompt"][0]["content"]
        kind = "videos" if "videos" in row else "images"
        assert [part["type"] for part in parts].count(kind[:-1]) == len(row[kind]) == 2
        one, two = (sha256_hex((folder / path).read_bytes()) for path in row[kind])
        yes = row["chosen"][0]["content"][0]["text"] == "yes"
        assert row["rejected"][0]["content"][0]["text"] == ("no" if yes else "yes")
        found.add((one, two, parts[0]["text"].split()[0], yes))
    assert len(rows) == len(decided) and found == expected


def test_parquet_and_datasets_hold_the_media(calm: Warehouse, made: Exports) -> None:
    samples = _samples(calm)
    rows = [row for path in made["parquet"][0].glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert {row["key"] for row in rows} == set(samples)
    assert all(row["a"]["bytes"] == samples[row["key"]].a for row in rows)
    loaded = datasets.load_from_disk(str(made["datasets"][0]))
    assert sum(len(split) for split in loaded.values()) == len(samples)
    assert loaded["test"][0]["a"]["bytes"] if isinstance(loaded["test"][0]["a"], dict) else loaded["test"][0]["a"].size


def test_every_export_is_in_the_audit_and_nothing_is_written_over(calm: Warehouse, made: Exports) -> None:
    audit = calm.rows("SELECT detail_json FROM audit WHERE action = 'export' AND subject = 'calm@1'")
    known = {json.loads(row["detail_json"])["export_id"] for row in audit}
    assert {said["export_id"] for _, said in made.values()} <= known
    assert all(said["export_id"] in (folder / "README.md").read_text() for folder, said in made.values())
    with pytest.raises(ConflictError):
        export(calm, "calm@1", "jsonl", made["jsonl"][0])
    with pytest.raises(ConfigError):
        export(calm, "calm@1", "csv", made["jsonl"][0] / "x")
