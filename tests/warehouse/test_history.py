"""What changed between versions, checked against the shards themselves; tags; pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pipelines.report.dataset_pages import browse_page, diff_page
from tests.warehouse.two_versions import Ids
from warehouse import Warehouse
from warehouse.datasets.diff import FIELDS, diff, log
from warehouse.datasets.recipe import SPLITS
from warehouse.datasets.versions import find_version, list_versions, show_version, tag_moves, tag_version
from warehouse.errors import ConflictError, InvalidInputError, NotFoundError
from warehouse.shards import open_split


def _facts(warehouse: Warehouse, version: int) -> dict[str, dict[str, Any]]:
    found = {}
    for split in SPLITS:
        samples = open_split(warehouse, "calm", version, split)
        for sample in (samples[index] for index in range(len(samples))):
            found[sample.key] = sample.facts | {"split": split, "rationale": sample.rationale}
    return found


def test_diff_says_what_the_shards_say(calm: Warehouse) -> None:
    old, new = _facts(calm, 1), _facts(calm, 2)
    found = diff(calm, "calm@1", "calm@2", limit=100)
    said = {group: {row["sample_key"] for row in found[group]} for group in ("added", "removed", "changed")}
    quiet = {"consensus_id", "preference_id"}
    both = old.keys() & new.keys()
    changed = {key for key in both if any(old[key][name] != new[key][name] for name in old[key].keys() - quiet)}
    assert said == {"added": new.keys() - old.keys(), "removed": set(), "changed": changed} and len(changed) == 2
    counts = {"added": 1, "removed": 0, "changed": 2, "unchanged": len(both) - 2}
    assert found["counts"] == counts and found["a"] == "calm@1"
    for row in found["changed"]:
        mine = {name for name in FIELDS if name in old[row["sample_key"]]}
        expected = {name for name in mine if old[row["sample_key"]][name] != new[row["sample_key"]][name]}
        assert set(row["fields"]) == expected >= {"n_votes", "n_b", "p_a"}
        assert row["fields"]["n_votes"] == ["4", "5"]
    assert found["fields"]["n_votes"] == 2 and set(found["fields"]) <= set(FIELDS)


def test_diff_backwards_and_of_itself(calm: Warehouse) -> None:
    forth, back = diff(calm, "calm@1", "calm@2"), diff(calm, "calm@2", "calm")
    assert back["counts"]["unchanged"] == sum(forth["counts"].values()) - forth["counts"]["removed"]
    assert back["changed"] == [] and back["fields"] == {}
    backwards = diff(calm, "calm@2", "calm@1")
    assert [row["sample_key"] for row in backwards["removed"]] == [row["sample_key"] for row in forth["added"]]
    assert backwards["changed"][0]["fields"]["n_votes"] == ["5", "4"]
    assert [len(diff(calm, "calm@1", "calm@2", 1)[name]) for name in ("added", "removed", "changed")] == [1, 0, 1]


def test_the_log_counts_what_changed(calm: Warehouse, ids: Ids) -> None:
    newest, first = log(calm, "calm")
    assert (newest["version"], first["version"], first["changes"], first["recipe"]) == (2, 1, None, None)
    assert newest["changes"] == diff(calm, "calm@1", "calm@2")["counts"]
    assert newest["recipe"] == {"consensus_ids": [[ids.consensus[0]], [ids.consensus[1]]]}
    with pytest.raises(NotFoundError):
        log(calm, "nothing")


def test_tags_move_by_force_only_and_every_move_is_logged(mine: Warehouse) -> None:
    assert tag_version(mine, "calm@1", "release")["changed"]
    assert not tag_version(mine, "calm@1", "release")["changed"]
    with pytest.raises(ConflictError, match="calm@1"):
        tag_version(mine, "calm@2", "release")
    assert find_version(mine, "calm@release")["version"] == 1
    moved = tag_version(mine, "calm", "release", force=True)
    assert (moved["from_version"], moved["version"], moved["forced"]) == (1, 2, True)
    assert show_version(mine, "calm@release")["version"] == 2
    assert [(row["from_version"], row["to_version"], row["forced"]) for row in tag_moves(mine, "calm")] == [
        (None, 1, False),
        (1, 2, True),
    ]
    assert [row["tags"] for row in list_versions(mine)] == [[], ["release"]]
    with pytest.raises(InvalidInputError):
        tag_version(mine, "calm@1", "3")
    with pytest.raises(NotFoundError):
        tag_version(mine, "calm@9", "other")


def _outside(page: str) -> list[str]:
    """References that would leave the page."""
    return [link for link in re.findall(r"(?:src|href)=\"([^\"]*)\"", page) if not link.startswith("data:")]


def test_pages_carry_their_pictures_and_escape_what_people_typed(mine: Warehouse, tmp_path: Path) -> None:
    mine.rows("UPDATE prompts SET text = '<script>alert(1)</script>' WHERE text LIKE 'two cats%'")
    said = browse_page(mine, "calm@1", tmp_path / "page.html", 100)
    page = Path(said["page"]).read_text()
    assert said["shown"] == said["rows"] == page.count("<article")
    assert _outside(page) == [] and "data:image/png" in page and "data:image/webp" in page
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert "SECRETWORD" in page and 'data-split="train"' in page and "raters disagree" in page
    found = diff_page(mine, "calm@1", "calm@2", tmp_path / "diff.html", 20)
    page = Path(found["page"]).read_text()
    assert page.count("<article") == 3 and _outside(page) == []
    assert page.count('data-change="changed"') == 2 and "<td>n_votes</td><td>4</td><td>5</td>" in page
