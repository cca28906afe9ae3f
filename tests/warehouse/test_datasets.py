"""Dataset versions: what goes in, what stays out, the same bytes every time, and kills in the middle."""

from __future__ import annotations

import errno
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.warehouse import preference_rows
from tests.warehouse.preference_rows import CONSENSUS, World, config, picture
from warehouse import Warehouse, open_warehouse
from warehouse.datasets import build, select, versions
from warehouse.datasets.recipe import SPLITS, BuildConfig, recipe_row, split_sql
from warehouse.errors import CorruptDataError, DiskFullError, InvalidInputError, NotFoundError
from warehouse.hashing import Column, content_id, sha256_hex
from warehouse.records import instruction_row, rationale_row
from warehouse.shards import Sample, open_split

ROOT = Path(__file__).resolve().parents[2]
ODD, LATER = "consensus-odd", "consensus-later"


def _odd_rows(world: World) -> None:
    """Pairs that a build has a reason to leave out, each under the consensus ODD; LATER speaks of old pairs again."""
    world.consensus(ODD)
    world.consensus(LATER)
    made: dict[str, Any] = {
        "good": {},
        "absent": {"with_media": False},
        "closed": {"licence": "cc-by-nc-4.0"},
        "open": {"licence": "cc-by-4.0"},
        "unheard": {"licence": "my own words"},
        "held": {"generator": "held-out"},
    }
    for number, (name, options) in enumerate(made.items(), 500):
        world.votes(world.pair(f"odd {name}", number, **options), "overall", 0.75, consensus=ODD)
    world.votes(world.pair("odd few", 600), "overall", 0.75, n_votes=1, consensus=ODD)
    world.votes(world.pair("odd unasked", 601), "motion_quality", 0.75, consensus=ODD)
    across = world.pair("odd across", 602)
    next(row for row in world.rows["pairs"] if row["pair_id"] == across)["prompt_b_id"] = "another"
    world.votes(across, "overall", 0.5, consensus=ODD)
    world.votes("no such pair", "overall", 0.5, consensus=ODD)
    for pair in world.pairs[:3]:
        world.row("preferences", preference_rows.preference(pair["pair_id"], "overall", 0.0, 3, LATER))
    world.save()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """One warehouse for all tests; each builds datasets of its own name."""
    with open_warehouse(str(tmp_path_factory.mktemp("datasets") / "warehouse")) as warehouse:
        _odd_rows(preference_rows.fill(warehouse))
        build.run(config(name="calm"), warehouse)
        yield warehouse


def _samples(warehouse: Warehouse, name: str, version: int = 1) -> dict[str, list[Sample]]:
    found = {split: open_split(warehouse, name, version, split) for split in SPLITS}
    return {split: [dataset[i] for i in range(len(dataset))] for split, dataset in found.items()}


def _files(warehouse: Warehouse, name: str, version: int = 1) -> dict[str, str]:
    folder = warehouse.root / "datasets" / name / f"v{version}"
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "README.md"]
    return {path.relative_to(folder).as_posix(): sha256_hex(path.read_bytes()) for path in paths}


def _count(warehouse: Warehouse, table: str, name: str) -> int:
    return int(warehouse.rows(f"SELECT count(*) AS n FROM {table} WHERE name = ?", [name])[0]["n"])


def test_every_pair_and_dimension_once_and_no_prompt_on_two_sides(shared: Warehouse) -> None:
    splits = _samples(shared, "calm")
    facts = [(split, sample.facts) for split, samples in splits.items() for sample in samples]
    assert len({(fact["pair_id"], fact["dimension"]) for _, fact in facts}) == len(facts) == 96
    sides: dict[str, set[str]] = {}
    for split, fact in facts:
        sides.setdefault(fact["prompt_id"], set()).add(split)
        assert (split == "ood") == (fact["domain"] == "ood")
    assert all(len(side) == 1 for side in sides.values()) and all(splits.values())


def test_rows_say_what_the_shards_hold(shared: Warehouse) -> None:
    shown = versions.show_version(shared, "calm@1")
    rows = {row["sample_key"]: row for row in shared.rows("SELECT * FROM samples WHERE name = 'calm'")}
    splits = _samples(shared, "calm")
    assert {split: len(samples) for split, samples in splits.items()} == shown["splits"] and shown["rows"] == len(rows)
    for split, samples in splits.items():
        for sample in samples:
            row, facts = rows[sample.key], sample.facts
            assert (row["split"], row["p_a"], row["rationale_id"] or "") == (split, facts["p_a"], facts["rationale_id"])
            assert all(row[name] == facts[name] for name in ("pair_id", "prompt_id", "preference_id", "instruction_id"))
    for shard in shown["shards"]:
        data = Path(shard["uri"]).read_bytes()
        assert (sha256_hex(data), len(data)) == (shard["sha256"], shard["bytes"])
        held = [row for row in rows.values() if shard["uri"].endswith(row["shard"])]
        assert len(held) == shard["samples"] > 0
    assert json.loads(json.dumps(shown)) == shown


def test_the_same_rows_elsewhere_give_the_same_bytes(shared: Warehouse, tmp_path: Path) -> None:
    with open_warehouse(str(tmp_path / "other")) as other:
        preference_rows.fill(other, backwards=True)
        receipt = build.run(config(name="calm"), other)
        assert receipt.outputs["hash"] == versions.show_version(shared, "calm")["hash"]
        assert _files(other, "calm") == _files(shared, "calm")
        cards = [(w.root / "datasets" / "calm" / "v1" / "README.md").read_text() for w in (shared, other)]
        assert cards[0] == cards[1]


def test_the_same_recipe_is_the_same_version_and_another_the_next(shared: Warehouse) -> None:
    tables = ("samples", "shards", "dataset_versions", "recipes")
    first = build.run(config(name="twice"), shared)
    counted, files = [_count(shared, table, "twice") for table in tables], _files(shared, "twice")
    again = build.run(config(name="twice"), shared)
    # Another receipt, but nothing that decides the bytes: the version is found by recipe and hash.
    other = build.run(config(name="twice", reject_limit=0.25), shared)
    assert (first.changed, again.changed) == (True, False)
    assert first.outputs == again.outputs == other.outputs and first.outputs["version"] == 1
    assert [_count(shared, table, "twice") for table in tables] == counted

    second = build.run(config(name="twice", rationales=False), shared)
    assert second.outputs["version"] == 2 and second.outputs["hash"] != first.outputs["hash"]
    assert _files(shared, "twice") == files
    listed = [row for row in versions.list_versions(shared) if row["name"] == "twice"]
    assert [(row["version"], row["parent"]) for row in listed] == [(1, None), (2, 1)]
    assert versions.show_version(shared, "twice")["version"] == 2
    assert not any(sample.rationale for samples in _samples(shared, "twice", 2).values() for sample in samples)


def test_what_is_left_out_is_counted_by_reason(shared: Warehouse) -> None:
    receipt = build.run(config(name="odd", consensus_ids=(ODD,), min_votes=2), shared)
    assert receipt.outputs["left_out"] == {
        "across_prompts": 1,
        "few_votes": 1,
        "licence_non_commercial": 1,
        "licence_unknown": 1,
        "media_absent": 1,
        "no_instruction": 1,
        "pair_unknown": 1,
    }
    assert receipt.counts["read"] == 10 and receipt.counts["left_out_few_votes"] == 1
    prompts = {sample.prompt for samples in _samples(shared, "odd").values() for sample in samples}
    assert prompts == {"odd good", "odd open", "odd held"}


def test_named_licences_come_in_and_a_generator_can_be_held_out(shared: Warehouse) -> None:
    named = ("CC-BY-NC-4.0", "My own words")
    receipt = build.run(config(name="held", consensus_ids=(ODD,), licences=named, ood_generators=("held-out",)), shared)
    assert not {"licence_non_commercial", "licence_unknown"} & set(receipt.outputs["left_out"])
    assert [sample.prompt for sample in _samples(shared, "held")["ood"]] == ["odd held"]


def test_the_first_named_consensus_counts(shared: Warehouse) -> None:
    receipt = build.run(config(name="both", consensus_ids=(LATER, CONSENSUS), dimensions=("overall",)), shared)
    assert receipt.outputs["left_out"] == {"superseded": 3} and sum(receipt.outputs["samples"].values()) == 48
    facts = [sample.facts for part in _samples(shared, "both").values() for sample in part]
    assert sorted(fact["consensus_id"] for fact in facts) == [CONSENSUS] * 45 + [LATER] * 3
    assert {fact["p_a"] for fact in facts if fact["consensus_id"] == LATER} == {0.0}


def test_only_some_tasks_and_dimensions_and_a_source_held_out(shared: Warehouse) -> None:
    build.run(config(name="some", tasks=("t2v",), dimensions=("text_alignment",), ood_sources=("test",)), shared)
    splits = _samples(shared, "some")
    assert {split: len(samples) for split, samples in splits.items() if samples} == {"ood": 8}
    assert {(s.facts["task"], s.facts["dimension"]) for s in splits["ood"]} == {("t2v", "text_alignment")}


def test_references_are_the_best_candidates_outside_the_pair(shared: Warehouse) -> None:
    prompts = shared.rows("SELECT prompt_id, list(candidate_id ORDER BY candidate_id) AS c FROM candidates GROUP BY 1")
    ranks = [
        {
            "rank_id": f"{row['prompt_id']}-{rank}",
            "model_id": "rm",
            "prompt_id": row["prompt_id"],
            "candidate_id": candidate,
            "rank": rank,
        }
        for row in prompts
        for rank, candidate in enumerate(row["c"])
    ]
    shared.merge("reference_ranks", ranks)
    build.run(config(name="refs", references=1, reference_model_id="rm", dimensions=("overall",)), shared)
    best = {row["prompt_id"]: row["c"] for row in prompts}
    media = {
        row["candidate_id"]: row["media_id"] for row in shared.rows("SELECT candidate_id, media_id FROM candidates")
    }
    for samples in _samples(shared, "refs").values():
        for sample in samples:
            pair = {sample.facts["candidate_a"], sample.facts["candidate_b"]}
            expected = next(candidate for candidate in best[sample.facts["prompt_id"]] if candidate not in pair)
            assert [sha256_hex(data) for data in sample.references] == [media[expected]]


def test_the_rationale_agrees_with_the_verdict_and_a_model_must_be_verified(warehouse: Warehouse) -> None:
    """Verified before typed, then the smallest id; what a model wrote counts only where the label followed from it."""
    world, expected = World(warehouse), dict[str, set[str]]()
    world.consensus()
    world.row("instructions", instruction_row("t2i", "overall", 1, "pairwise", "is two better ?"))
    said = [("x", "human", False), ("y", "human", False), ("z", "model", True), ("w", "model", False)]
    for number, (p_a, verdicts) in enumerate(
        ((0.0, ["b"]), (0.3, ["b"]), (0.5, ["tie", "both_bad"]), (0.51, ["a"]), (1.0, ["a"]))
    ):
        for kinds in (said, said[:2], said[3:]):
            pair = world.pair(f"say {number} {len(kinds)}", 10 * number + len(kinds))
            world.votes(pair, "overall", p_a)
            rows = [
                rationale_row(pair, "overall", verdict, f"{text} {verdict}", author, "someone", verified=verified)
                for text, author, verified in kinds
                for verdict in ("a", "b", "tie", "both_bad")
            ]
            for row in rows:
                world.row("rationales", row)
            usable = [row for row in rows if row["verdict"] in verdicts]
            best = [row for row in usable if row["verified"]]
            best = best or [row for row in usable if row["author_kind"] == "human"]
            expected[pair] = {min(best, key=lambda row: str(row["rationale_id"]))["text"]} if best else {""}
    world.save()
    build.run(config(name="said"), warehouse)
    found = {sample.facts["pair_id"]: {sample.rationale} for samples in _samples(warehouse, "said").values()
             for sample in samples}
    assert found == expected and len(found) == 15


def test_pages_do_not_change_the_version(shared: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "_PAGE", 7)
    monkeypatch.setattr(select, "_OUTLINE_PAGE", 5)
    assert build.run(config(name="pages"), shared).outputs["hash"] == versions.show_version(shared, "calm")["hash"]
    assert _files(shared, "pages") == _files(shared, "calm")


def test_the_card(shared: Warehouse) -> None:
    shown = versions.show_version(shared, "calm")
    card = Path(shown["card"]).read_text()
    assert card == shared.rows("SELECT card FROM dataset_versions WHERE name = 'calm'")[0]["card"]
    for said in (
        shown["hash"],
        "| t2i | 80 |",
        "| t2v | 16 |",
        "| overall | 48 |",
        "| human | 96 |",
        "| tiny | 192 |",
        "alpha 0.5, ci [0.4, 0.6]",
        f"| train | {shown['splits']['train']} |",
        "0 shared prompts",
        'open_split(WAREHOUSE, "calm", 1, "train")',
    ):
        assert said in card, said


def _start(warehouse: Warehouse, name: str, stop_at: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.warehouse.build_and_stop", warehouse.url, name, str(stop_at)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert started.stdout is not None and started.stdout.readline() == "open\n"
    return started


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _check_as_if_undisturbed(warehouse: Warehouse, name: str) -> None:
    receipt = build.run(config(name=name), warehouse)
    assert receipt.outputs["hash"] == versions.show_version(warehouse, "calm")["hash"]
    assert receipt.outputs["version"] == 1 and _count(warehouse, "dataset_versions", name) == 1
    assert _files(warehouse, name) == _files(warehouse, "calm")
    assert _count(warehouse, "samples", name) == 96
    folder = warehouse.root / "datasets" / name
    assert {path.name for path in folder.iterdir()} == {"v1", ".build.lock"}


@pytest.mark.parametrize(("stop_at", "note"), [(1, "samples"), (3, "rows")])
def test_kill_9_in_the_middle_then_the_same_command(shared: Warehouse, stop_at: int, note: str) -> None:
    name = f"killed{stop_at}"
    process = _start(shared, name, stop_at)
    assert process.stdout is not None and process.stdout.readline().strip() == note
    _kill(process)
    left = list((shared.root / "datasets" / name).rglob("*.tar"))
    assert left and _count(shared, "dataset_versions", name) == _count(shared, "samples", name) == 0
    _check_as_if_undisturbed(shared, name)


def test_kill_9_at_a_random_moment(shared: Warehouse) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    process = _start(shared, "killed-randomly", 0)
    time.sleep(random.Random(seed).uniform(0, 3))
    _kill(process)
    _check_as_if_undisturbed(shared, "killed-randomly")


def test_two_builders_at_once_make_one_version(shared: Warehouse) -> None:
    builders = [_start(shared, "race", 0) for _ in range(2)]
    for builder in builders:
        _, _ = builder.communicate(timeout=120)
    assert [builder.returncode for builder in builders] == [0, 0]
    _check_as_if_undisturbed(shared, "race")


def test_a_full_disk_leaves_nothing_behind(shared: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("warehouse.shards.writer.os.fsync", full)
        with pytest.raises(DiskFullError, match="free"):
            build.run(config(name="full"), shared)
    assert not list((shared.root / "datasets" / "full").rglob("*.tar"))
    _check_as_if_undisturbed(shared, "full")


def test_media_with_other_bytes_is_no_sample(warehouse: Warehouse) -> None:
    world = World(warehouse)
    world.consensus()
    world.row("instructions", instruction_row("t2i", "overall", 1, "pairwise", preference_rows.TEMPLATE))
    world.votes(world.pair("a thing", 1), "overall", 1.0)
    world.save()
    media_id = sha256_hex(picture(2))
    path = warehouse.media.path(media_id)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(CorruptDataError, match=media_id):
        build.run(config(), warehouse)
    path.unlink()
    with pytest.raises(InvalidInputError, match="media_absent"):
        build.run(config(), warehouse)
    assert versions.list_versions(warehouse) == []


def test_unknown_versions_and_consensus(shared: Warehouse) -> None:
    for reference in ("nothing", "calm@99", "calm@one"):
        with pytest.raises(NotFoundError):
            versions.show_version(shared, reference)
    for reference in ("calm@", "@1", "calm@1x"):
        with pytest.raises(InvalidInputError):
            versions.show_version(shared, reference)
    with pytest.raises(NotFoundError, match="annotation"):
        build.run(config(consensus_ids=("nobody",)), shared)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../x"},
        {"name": "a@b"},
        {"validation": 0.6, "test": 0.6},
        {"references": 2},
        {"consensus_ids": ()},
        {"unknown": 1},
    ],
)
def test_recipes_that_make_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**changes)


def test_splits_keep_to_their_fractions_and_to_their_seed(warehouse: Warehouse) -> None:
    recipe = BuildConfig(name="x", consensus_ids=("c",), validation=0.2, test=0.1)

    def dealt(recipe: BuildConfig) -> list[str]:
        texts = "(SELECT 'prompt ' || n AS t FROM range(4000) r(n) ORDER BY n)"
        sql = f"SELECT {split_sql(Column('t'), recipe)} AS split FROM {texts}"
        return [row["split"] for row in warehouse.rows(sql)]

    found = dealt(recipe)
    assert abs(found.count("test") / 4000 - 0.1) < 0.02 and abs(found.count("validation") / 4000 - 0.2) < 0.025
    other = recipe.model_copy(update={"split_seed": 1})
    assert found != dealt(other) and recipe_row(recipe)["recipe_id"] != recipe_row(other)["recipe_id"]
    assert set(dealt(recipe.model_copy(update={"validation": 0.0, "test": 1.0}))) == {"test"}
    # The rule in plain arithmetic: the first 52 bits of the hash, as a fraction.
    places = [int(content_id("split", 0, f"prompt {number}")[:13], 16) / 2**52 for number in range(4000)]
    assert found == ["test" if x < 0.1 else "validation" if x < 0.1 + 0.2 else "train" for x in places]
