"""configs/real_media.yaml through the pipeline's own runner: real prompts, images, clips and votes to a trained model.

Every count is either upstream's own or read here from the copied files by other means.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from annotation.backend import Pulled, ShownVote, Task
from annotation.campaign import CampaignConfig
from annotation.campaign import run as run_campaign
from annotation.pairing import PairingConfig
from annotation.pairing import run as run_pairing
from generation.ingest import IngestConfig
from generation.ingest import run as run_ingest
from warehouse import Warehouse, open_warehouse
from warehouse.hashing import sha256_hex

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
CONFIG = ROOT / "configs" / "real_media.yaml"
pytestmark = [pytest.mark.prefect, pytest.mark.loop, pytest.mark.timeout(900)]


def _run(config: Path, out: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "pipelines.cli", "run", str(config), "--out", str(out), "--json"]
    environment = {**os.environ, "PREFECT_HOME": str(out.parent / "prefect"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=840)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished run."""
    folder = tmp_path_factory.mktemp("real")
    _run(CONFIG, folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def made(out: Path) -> Iterator[Warehouse]:
    with open_warehouse(str(out / "warehouse")) as opened:
        yield opened


def _counts(out: Path, stage: str) -> dict[str, int]:
    receipt = json.loads((out / "receipts" / f"{stage}.json").read_text(encoding="utf-8"))["receipt"]
    assert not receipt["rejected"] and not receipt["over_limit"]
    counts: dict[str, int] = receipt["counts"]
    return counts


def _one(warehouse: Warehouse, sql: str) -> dict[str, Any]:
    [row] = warehouse.rows(sql)
    return row


def test_prompts_of_three_benchmarks(out: Path) -> None:
    for stage, read, prompts in (("partiprompts", 1632, 1632), ("geneval", 553, 553), ("vbench", 946, 943)):
        counts = _counts(out, stage)
        assert (counts["read"], counts["prompts"], counts["duplicates"]) == (read, prompts, 0), stage


def test_videoalign_is_three_pairs_nine_votes_and_nine_duplicates(out: Path, made: Warehouse) -> None:
    counts = _counts(out, "clips")
    assert [counts[key] for key in ("read", "duplicates", "pairs", "votes", "ties", "media", "media_absent")] == [
        12, 9, 3, 9, 4, 6, 0,
    ]  # fmt: skip
    clips = {path.name: sha256_hex(path.read_bytes()) for path in (DATA / "videoalign-pairs/videos").glob("*.mp4")}
    stored = made.rows("SELECT c.source_item, m.* FROM candidates c JOIN media m USING (media_id) WHERE kind = 'video'")
    assert {Path(row["source_item"]).name: row["media_id"] for row in stored} == clips
    # The file's own columns say how many frames each clip has and how fast it runs.
    facts = {Path(row["source_item"]).name: (row["frames"], row["fps"]) for row in stored}
    assert facts["example_1_A.mp4"] == (126, 24.0) and facts["example_3_B.mp4"] == (60, 16.0)


def test_genai_bench_votes_are_counted_and_kept_out_of_shards(out: Path, made: Warehouse) -> None:
    truth = json.loads((DATA / "genai-bench-image-votes/gpt4o.json").read_text(encoding="utf-8"))
    counts = _counts(out, "image_votes")
    assert (counts["pairs"], counts["votes"], counts["media_absent"]) == (len(truth), len(truth), 2 * len(truth))
    human = Counter(row["human_vote"] for row in truth)
    labels = made.rows("SELECT label, label = left_side AS left_won FROM votes WHERE source = 'genai-bench'")
    mine = Counter("ab" if row["label"] in "ab" else row["label"] for row in labels)
    assert mine == {
        "ab": human["leftvote"] + human["rightvote"], "tie": human["tievote"], "both_bad": human["bothbad_vote"],
    }  # fmt: skip
    assert sum(row["left_won"] for row in labels) == human["leftvote"]
    assert _counts(out, "dataset")["left_out_media_absent"] == len(truth)


def test_pairs_without_votes_are_open_annotation_tasks(out: Path, made: Warehouse) -> None:
    """Two prompts, four generators: six pairs each, shown to three people."""
    assert (_counts(out, "images")["candidates"], _counts(out, "image_pairs")["pairs"]) == (8, 12)
    tasks = made.rows(
        "SELECT t.state, t.pair_id, g.name AS a, h.name AS b FROM annotation_tasks t JOIN pairs p USING (pair_id)"
        " JOIN candidates x ON x.candidate_id = p.candidate_a JOIN generators g ON g.generator_id = x.generator_id"
        " JOIN candidates y ON y.candidate_id = p.candidate_b JOIN generators h ON h.generator_id = y.generator_id"
    )
    assert len(tasks) == 36 and {row["state"] for row in tasks} == {"open"}
    assert set(Counter(row["pair_id"] for row in tasks).values()) == {3}
    met = Counter(frozenset((row["a"], row["b"])) for row in tasks)
    assert len(met) == 6 and set(met.values()) == {6} and all(len(pair) == 2 for pair in met)


def test_consensus_follows_the_files_labels(made: Warehouse) -> None:
    """VQ, MQ, TA of the three rows are B B A, same same A, A same same."""
    rows = made.rows(
        "SELECT f.dimension, a.source_item AS a, f.p_a, f.p_tie, f.n_votes FROM preferences f JOIN pairs p"
        " USING (pair_id) JOIN candidates a ON a.candidate_id = p.candidate_a WHERE p.task = 't2v'"
    )
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        side_a = "_A." in row["a"]
        clip = row["a"].split("_")[1]
        found.setdefault(clip, {})[row["dimension"]] = row["p_a"] if side_a else 1 - row["p_a"]
        assert row["n_votes"] == 1 and row["p_tie"] == float(row["p_a"] == 0.5)
    names = ("visual_quality", "motion_quality", "text_alignment")
    assert {clip: [found[clip][name] for name in names] for clip in found} == {
        "1": [0.0, 0.0, 1.0], "2": [0.5, 0.5, 1.0], "3": [1.0, 0.5, 0.5],
    }  # fmt: skip


def _shards(out: Path, made: Warehouse) -> list[Path]:
    rows = made.rows("SELECT uri, split, sha256 FROM shards WHERE name = 'real-media'")
    paths = [out / "warehouse" / row["uri"] for row in rows]
    assert rows and {row["split"] for row in rows} == {"train"}
    assert [sha256_hex(path.read_bytes()) for path in paths] == [row["sha256"] for row in rows]
    return paths


def test_webdataset_reads_the_real_clips(out: Path, made: Warehouse) -> None:
    import webdataset

    clips = {path.read_bytes() for path in (DATA / "videoalign-pairs/videos").glob("*.mp4")}
    reader = webdataset.WebDataset([str(path) for path in _shards(out, made)], shardshuffle=False)
    samples = list(reader)
    assert len(samples) == 9 == len({sample["__key__"] for sample in samples})
    for sample in samples:
        assert {sample["a.mp4"], sample["b.mp4"]} < clips
        assert json.loads(sample["json"])["task"] == "t2v" and sample["prompt.txt"].decode().startswith(("The", "A "))


def test_datasets_reads_them_without_a_none(out: Path, made: Warehouse, tmp_path: Path) -> None:
    import datasets

    paths = [str(path) for path in _shards(out, made)]
    loaded = datasets.load_dataset(
        "webdataset", data_files={"train": paths}, split="train", cache_dir=str(tmp_path / "cache")
    )
    for side in ("a.mp4", "b.mp4"):
        loaded = loaded.cast_column(side, datasets.Video(decode=False))
    rows = list(loaded)
    assert len(rows) == 9
    for row in rows:
        assert all(value is not None for value in [*row.values(), *row["json"].values()])
        assert row["a.mp4"]["bytes"] != row["b.mp4"]["bytes"]
    assert Counter(row["json"]["dimension"] for row in rows) == {
        "visual_quality": 3, "motion_quality": 3, "text_alignment": 3,
    }  # fmt: skip


def test_training_left_a_model_that_knows_its_dataset(out: Path, made: Warehouse) -> None:
    model = _one(made, "SELECT * FROM models")
    version = _one(made, "SELECT * FROM dataset_versions")
    assert (model["kind"], model["dataset_name"], model["dataset_version"]) == ("reward_model", "real-media", 1)
    assert model["dataset_hash"] == version["hash"]
    assert (out / "warehouse" / "models" / model["model_id"] / "model.safetensors").is_file()
    curve = made.rows("SELECT step, value FROM metrics WHERE name = 'train/loss' ORDER BY step")
    assert len(curve) == 6 and all(0 < row["value"] < 20 for row in curve)


def test_clips_are_shown_at_their_own_aspect_within_the_token_limit(out: Path) -> None:
    """Every clip of the run as the model sees it: at most 8 frames of at most 768 tokens, sides within one window."""
    from rm.families import load_family
    from rm.families.pixels import fitted_size
    from rm.reward_model import frames_of

    [options] = [
        stage["options"] for stage in yaml.safe_load(CONFIG.read_text())["stages"] if "steps" in stage["options"]
    ]
    [model] = (out / "warehouse" / "models").iterdir()
    geometry = load_family(model, options["max_pixels"]).geometry
    for path in (DATA / "videoalign-pairs/videos").glob("example_[23]_*.mp4"):
        frames = frames_of(path.read_bytes(), options["max_frames"])
        height, width = frames.pixels.shape[1:3]
        shown = fitted_size(height, width, geometry)
        assert len(frames.times_s) == 8 and geometry.tokens(*shown) <= 768
        assert abs(shown[1] - shown[0] * width / height) <= geometry.window_px


def test_the_summary_and_a_second_run(out: Path) -> None:
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["counts"]["candidates"] == {"images": 8, "clips": 6}
    assert (summary["counts"]["pairs"], summary["counts"]["votes"], summary["counts"]["rejects"]) == (1750, 1744, 0)
    assert summary["dataset"]["samples"] == {"train": 9, "validation": 0, "test": 0, "ood": 0}
    assert not summary["simulated"] and Path(summary["report"]).is_file()
    again = _run(CONFIG, out)
    assert not again["changed"] and again["dataset"]["hash"] == summary["dataset"]["hash"]


class Strangers:
    """An annotation back end whose first rater answers honestly, and whose second one talks about no pair we have."""

    rater_kind = "human"

    def __init__(self, warehouse: Warehouse) -> None:
        self.votes: list[ShownVote] = []

    def publish(self, tasks: Sequence[Task]) -> list[str]:
        when = datetime(2026, 1, 1)
        for task in tasks:
            for rater, pair_id in (("ann", task.pair_id), ("eve", "0" * 32)):
                self.votes.append(ShownVote(task.task_id, pair_id, "overall", rater, "left", when, when))
        return [task.task_id for task in tasks]

    def pull(self, since: str) -> Pulled:
        return Pulled(tuple(self.votes), "end")


def test_a_vote_for_a_pair_that_does_not_exist(warehouse: Warehouse) -> None:
    manifest = DATA / "t2v-metrics-images" / "manifest.csv"
    run_ingest(IngestConfig(manifest=manifest, source="t2v-metrics"), warehouse)
    run_pairing(PairingConfig(source="t2v-metrics", pairs_per_prompt=1), warehouse)
    config = CampaignConfig(name="strangers", backend="tests.test_real_media:Strangers", votes_per_pair=1)
    receipt = run_campaign(config, warehouse)
    assert (receipt.counts["votes"], receipt.rejected) == (2, {"unknown_pair": 2})
    assert warehouse.rows("SELECT count(*) AS n FROM votes v ANTI JOIN pairs p USING (pair_id)") == [{"n": 0}]
    assert warehouse.rows("SELECT DISTINCT reason FROM rejects") == [{"reason": "unknown_pair"}]
