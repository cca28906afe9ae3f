"""Forgetting a rater, a picture, a prompt: what depends on it, the version without it, and nothing left once erased."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.forgetting import forget
from tests.warehouse.preference_rows import config
from tests.warehouse.two_versions import Ids
from warehouse import Warehouse, open_warehouse
from warehouse.datasets import build
from warehouse.datasets.recipe import SPLITS
from warehouse.datasets.verify import verify
from warehouse.datasets.versions import list_versions
from warehouse.erasure import erase
from warehouse.errors import ConflictError, InvalidInputError, NotFoundError
from warehouse.export import export
from warehouse.forget import dependants
from warehouse.importers.run import ImportConfig, run
from warehouse.shards import Sample, open_split


def _samples(warehouse: Warehouse, version: int) -> list[Sample]:
    splits = [open_split(warehouse, "calm", version, split) for split in SPLITS]
    return [split[index] for split in splits for index in range(len(split))]


def test_a_dry_run_says_what_depends_and_changes_nothing(calm: Warehouse, ids: Ids) -> None:
    then = calm.snapshot()
    found = forget(calm, "annotator", ids.late_rater, erasing=False, dry_run=True)
    assert [(row["version"], row["samples"]) for row in found["versions"]] == [(2, 2)] and found["models"] == []
    early = dependants(calm, "annotator", ids.raters["dov"])
    assert [row["version"] for row in early["versions"]] == [1, 2]
    assert [(row["model_id"], row["steps"]) for row in early["models"]] == [("rm-1", 0), ("policy-1", 1)]
    assert calm.snapshot() == then and not found["changed"]
    with pytest.raises(NotFoundError):
        forget(calm, "annotator", "nobody", erasing=False, dry_run=True)
    with pytest.raises(InvalidInputError):
        dependants(calm, "pair", ids.pairs[0])


def _texts(path: Path) -> str:
    """What a file says, compressed columns included."""
    text = path.name + path.read_bytes().decode("latin-1")
    return text + (str(pq.read_table(path).to_pylist()) if path.suffix == ".parquet" else "")


def test_a_forgotten_rater_is_gone_from_the_next_version_and_an_erased_one_from_everywhere(
    mine: Warehouse, ids: Ids, tmp_path: Path
) -> None:
    dov = ids.raters["dov"]
    said = export(mine, "calm@1", "jsonl", tmp_path / "given")
    answer = forget(mine, "annotator", dov, erasing=False, dry_run=False)
    assert answer["changed"] and answer["rebuilt"][0]["version"] == 3
    assert [item["export_id"] for item in answer["exports"]] == [said["export_id"]]
    votes = {sample.facts["pair_id"]: sample.facts["n_votes"] for sample in _samples(mine, 3)}
    assert votes[ids.pairs[0]] == 3 and not any("SECRETWORD" in sample.rationale for sample in _samples(mine, 3))
    assert any("SECRETWORD" in sample.rationale for sample in _samples(mine, 1))
    again = forget(mine, "annotator", dov, erasing=False, dry_run=False)
    assert not again["changed"] and again["rebuilt"] == answer["rebuilt"] and len(list_versions(mine)) == 3
    with pytest.raises(ConflictError, match="forgotten"):
        build.run(config(name="other", consensus_ids=(ids.consensus[0],)), mine)

    before = verify(mine, "calm@1")["samples"]
    erased = forget(mine, "annotator", dov, erasing=True, dry_run=False)["erased"]
    assert erased["rows"]["votes"] == 12 and erased["rows"]["rationales"] == 1
    assert [row["state"] for row in list_versions(mine)] == ["withdrawn", "withdrawn", "ready"]
    for version in (1, 2, 3):
        found = verify(mine, f"calm@{version}")
        assert found["ok"] and found["erased"] == erased["samples"].get(f"calm@{version}", 0)
    assert verify(mine, "calm@1")["samples"] == before - erased["samples"]["calm@1"] > 0
    left = [path for path in mine.root.rglob("*") if path.is_file()]
    for secret in (dov, "SECRETWORD", ids.rationale):
        assert not [path.name for path in left if secret in _texts(path)], secret
    assert forget(mine, "annotator", dov, erasing=True, dry_run=False)["changed"] is False


def test_a_picture_and_its_bytes(mine: Warehouse, ids: Ids) -> None:
    row = mine.rows(
        "SELECT c.media_id FROM pairs p JOIN candidates c ON c.candidate_id = p.candidate_a WHERE p.pair_id = ?",
        [ids.pairs[5]],
    )[0]
    with pytest.raises(ConflictError, match="not forgotten"):
        erase(mine, "media", row["media_id"])
    path = mine.media.path(row["media_id"])
    answer = forget(mine, "media", row["media_id"], erasing=True, dry_run=False)
    assert answer["rebuilt"][0]["version"] == 3 and not path.exists()
    for version in (1, 2, 3):
        pairs = {sample.facts["pair_id"] for sample in _samples(mine, version)}
        assert ids.pairs[5] not in pairs and ids.pairs[4] in pairs and verify(mine, f"calm@{version}")["ok"]
    left_out = json.loads(mine.rows("SELECT counts_json FROM dataset_versions WHERE version = 3")[0]["counts_json"])
    assert left_out["left_out"] == {"withdrawn": 2}
    assert mine.rows("SELECT count(*) AS n FROM votes WHERE pair_id = ?", [ids.pairs[5]])[0]["n"] == 0


def test_backups_are_erased_from_too(mine: Warehouse, ids: Ids, tmp_path: Path) -> None:
    copy, other = tmp_path / "copy", tmp_path / "other"
    shutil.copytree(mine.root, copy)
    open_warehouse(str(other)).close()
    with pytest.raises(NotFoundError, match="nowhere"):
        forget(mine, "prompt", "p", erasing=True, dry_run=False, backups=[str(tmp_path / "nowhere")])
    prompt = mine.rows("SELECT min(prompt_id) AS id FROM prompts")[0]["id"]
    answer = forget(mine, "prompt", prompt, erasing=True, dry_run=False, backups=[str(copy), str(other)])
    assert answer["backups"][0]["erased"]["rows"] == answer["erased"]["rows"]
    assert answer["backups"][1]["erased"] is None
    assert not [path for path in copy.rglob("*") if path.is_file() and prompt in _texts(path)]
    with open_warehouse(str(copy)) as opened:
        assert verify(opened, "calm@1")["ok"]


def test_a_source_that_is_everything(mine: Warehouse) -> None:
    answer = forget(mine, "source", "test", erasing=False, dry_run=False)
    assert answer["rebuilt"][0]["version"] is None and "withdrawn" in answer["rebuilt"][0]["problem"]
    assert [row["state"] for row in list_versions(mine)] == ["ready", "ready"]


def test_an_erased_source_takes_its_raters_and_refused_rows_along(warehouse: Warehouse, tmp_path: Path) -> None:
    path, columns = tmp_path / "votes.csv", {"rater": "rater"}
    for name, rater in (("kept", "ann"), ("gone", "zed")):
        rows = f"a dog,a.png,b.png,first,{rater}\n,a.png,b.png,first,{rater}\n"
        path.write_text(f"prompt,first,second,label,rater\n{rows}")
        run(ImportConfig(format="table", path=path, name=name, columns=columns), warehouse)
    assert forget(warehouse, "source", "gone", erasing=True, dry_run=False)["erased"]["rows"]["annotators"] == 1
    left = warehouse.rows("SELECT attributes_json FROM annotators")
    assert [json.loads(row["attributes_json"]) for row in left] == [{"rater": "ann"}]
    assert [row["source"] for row in warehouse.rows("SELECT source FROM rejects")] == ["kept"]
    assert not [file for file in warehouse.root.rglob("*") if file.is_file() and "zed" in _texts(file)]
