"""Every format in its published layout, from files to the labels inside shards, in one warehouse.

What a shard's sample prefers is held against what the source file says, by the bytes of the two media.
"""

from __future__ import annotations

import json
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from annotation.consensus import ConsensusConfig
from annotation.consensus import run as run_consensus
from tests.warehouse.importers.published import WRITERS, Published
from tests.warehouse.preference_rows import TEMPLATE, picture
from warehouse import Warehouse, open_warehouse
from warehouse.datasets.build import BuildConfig
from warehouse.datasets.build import run as run_build
from warehouse.importers.answer import import_answer
from warehouse.importers.formats import FORMATS
from warehouse.importers.run import ImportConfig, run
from warehouse.records import DIMENSIONS, TASKS, instruction_row

ADDED = ("prompts", "candidates", "pairs", "ties", "votes")


@dataclass(frozen=True)
class Imported:
    published: Published
    first: dict[str, Any]
    again: dict[str, Any]
    over_limit: bool


@dataclass(frozen=True)
class World:
    warehouse: Warehouse
    imports: dict[str, Imported]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("published")
    imports: dict[str, Imported] = {}
    with open_warehouse(str(root / "warehouse")) as warehouse:
        for name, write in WRITERS.items():
            (root / name).mkdir()
            published = write(root / name)
            config = ImportConfig(format=name, path=published.path, **published.options)
            receipt = run(config, warehouse)
            # Another reject limit is another config: every row is read again.
            again = run(config.model_copy(update={"reject_limit": 0.9}), warehouse)
            imports[name] = Imported(published, import_answer(receipt), import_answer(again), receipt.over_limit)
        yield World(warehouse, imports)


def test_every_format_has_a_published_layout() -> None:
    """Real rows of these two stand in tests/data."""
    assert set(FORMATS) == set(WRITERS) | {"genai-bench-judge", "videoalign"}


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_counts(world: World, name: str) -> None:
    done = world.imports[name]
    wanted = {"duplicates": 0, "rejects": 0, "media_absent": 0, "already_there": 0} | done.published.counts
    assert {key: done.first[key] for key in wanted} == wanted
    assert not done.over_limit


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_a_second_import_adds_nothing(world: World, name: str) -> None:
    first, again = world.imports[name].first, world.imports[name].again
    assert [again[key] for key in ADDED] == [0] * 5
    assert again["changed"] and again["already_there"] + again["rejects"] + again["duplicates"] == first["read"]
    assert (again["rejects_by_reason"], again["media_absent"]) == (first["rejects_by_reason"], 0)


def test_licences_of_the_sources(world: World) -> None:
    rows = world.warehouse.rows(
        "SELECT DISTINCT p.source, l.name, l.non_commercial FROM prompts p JOIN licences l USING (licence_id)"
    )
    found = {row["source"]: (row["name"], row["non_commercial"]) for row in rows}
    assert found["genai-bench-edit"] == ("CC-BY-4.0", False) and found["hpdv3"] == ("MIT", False)
    assert found["hpdv2"] == ("Apache-2.0", False) and found["pickapic"] == ("research-only", True)
    # Nobody has said under which licence these are.
    assert set(WRITERS) - set(found) == {"label-studio", "likert-csv", "richhf", "table"}
    media = world.warehouse.rows("SELECT count(*) AS n FROM media WHERE source = 'pickapic' AND licence_id IS NULL")
    assert media == [{"n": 0}]


@pytest.fixture(scope="module")
def samples(world: World) -> list[dict[str, bytes]]:
    """Members of every sample in the shards of one version of everything."""
    warehouse = world.warehouse
    rows = [instruction_row(task, dimension, 1, "pairwise", TEMPLATE) for task in TASKS for dimension in DIMENSIONS]
    warehouse.merge("instructions", rows)
    config = ConsensusConfig(vote_sources=tuple(WRITERS), method="majority", resamples=10)
    consensus = run_consensus(config, warehouse).outputs["consensus_id"]
    options: dict[str, Any] = {"name": "all", "consensus_ids": (consensus,), "validation": 0.0, "test": 0.0}
    without = run_build(BuildConfig.model_validate(options), warehouse)
    assert without.outputs["left_out"] == {"licence_non_commercial": 3}
    named = run_build(BuildConfig.model_validate(options | {"licences": ("research-only",)}), warehouse)
    assert named.outputs["left_out"] == {}
    shards = warehouse.rows("SELECT uri FROM shards WHERE name = 'all' AND version = ?", [named.outputs["version"]])
    return [sample for row in shards for sample in _read(warehouse.root / row["uri"])]


def _read(path: Path) -> Iterator[dict[str, bytes]]:
    found: dict[str, dict[str, bytes]] = defaultdict(dict)
    with tarfile.open(path) as shard:
        for member in shard:
            key, _, part = member.name.partition(".")
            content = shard.extractfile(member)
            assert content is not None
            found[key][part] = content.read()
    yield from found.values()


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_who_was_preferred_survives_to_the_shards(
    world: World, samples: list[dict[str, bytes]], name: str
) -> None:
    found = {}
    for sample in samples:
        facts = json.loads(sample["json"])
        if facts["source"] == name:
            a, b = (next(data for part, data in sample.items() if part.startswith(f"{side}.")) for side in "ab")
            winner = None if facts["p_a"] == 0.5 else a if facts["p_a"] > 0.5 else b
            found[facts["dimension"], frozenset((a, b))] = winner
            assert facts["task"] == FORMATS[name].task
    assert found == world.imports[name].published.truth


def test_the_preferred_image_stands_on_both_sides(world: World) -> None:
    """HPDv3's first path is always the better one; twelve pairs all on one side happen once in two thousand."""
    rows = world.warehouse.rows("SELECT label, count(*) AS n FROM votes WHERE source = 'hpdv3' GROUP BY 1")
    assert {row["label"] for row in rows} == {"a", "b"}


def test_edits_carry_the_picture_that_was_edited(samples: list[dict[str, bytes]]) -> None:
    edited = {sample["prompt.txt"]: sample["cond.png"] for sample in samples if "cond.png" in sample}
    assert edited == {f"make it red {n}".encode(): picture(295 + n) for n in range(4)}


def test_people_of_the_sources_are_known_by_their_own_numbers(world: World) -> None:
    rows = world.warehouse.rows(
        "SELECT DISTINCT v.source, a.attributes_json FROM votes v JOIN annotators a USING (annotator_id)"
    )
    raters = defaultdict[str, set[str]](set)
    for row in rows:
        raters[row["source"]].add(json.loads(row["attributes_json"])["rater"])
    assert raters["hpdv2"] == {"u1", "source:hpdv2"}
    assert raters["pickapic"] == {"7", "8"} and raters["label-studio"] == {"user 1", "user 2"}
    assert raters["table"] == {"5", "6", "7"} and raters["hpdv3"] == {"source:hpdv3"}


def test_label_studio_votes_keep_their_seconds_and_reasons(world: World) -> None:
    rows = world.warehouse.rows(
        "SELECT v.seconds, v.dimension, r.text, r.author_kind FROM votes v LEFT JOIN rationales r USING (rationale_id)"
        " WHERE v.source = 'label-studio' ORDER BY v.dimension, r.text NULLS LAST"
    )
    assert [(row["dimension"], row["text"], row["author_kind"]) for row in rows] == [
        ("overall", "sharper", "person"), ("overall", None, None), ("text_alignment", "sharper", "person"),
    ]  # fmt: skip
    assert {row["seconds"] for row in rows} == {2.5}
