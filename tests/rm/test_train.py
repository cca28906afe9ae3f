from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rm import train
from rm.checkpoint import Checkpoint, load_checkpoint, newest, save_checkpoint
from rm.model_folder import ModelCard, weights_digest
from rm.reward_model import PairItem, load_reward_model
from rm.run_training import TrainingJob, start
from rm.trackers import trackers
from rm.training import Progress
from tests.rm import tiny, world
from tests.rm.conftest import Place
from warehouse import open_warehouse
from warehouse.errors import CorruptDataError, NotFoundError, TrainingError
from warehouse.stage import Receipt

Trained = tuple[dict[str, list[float]], dict[str, torch.Tensor]]

CHILD = """
import json, sys, torch
from rm import train
from warehouse import open_warehouse
torch.set_num_threads(1)
with open_warehouse(sys.argv[1]) as warehouse:
    train.run(train.TrainConfig(**json.loads(sys.argv[2])), warehouse)
"""


def config(place: Place, **changes: object) -> train.TrainConfig:
    values = {"name": "bright", "base": str(place.base), "dataset": "bright", "version": 1, "steps": 30,
              "batch_pairs": 8, "learning_rate": 2e-3, "warmup_steps": 5, "validate_every": 5, "patience": 0,
              "ema": 0.5}
    return train.TrainConfig(**(values | changes))


def curve(place: Place, receipt: Receipt) -> list[tuple[int, str, float]]:
    rows = place.warehouse.rows("SELECT step, name, value FROM metrics WHERE run_key = ? ORDER BY step, name",
                                [receipt.outputs["model_id"]])
    return [(row["step"], row["name"], row["value"]) for row in rows]


def test_training_learns_what_voters_like(place: Place) -> None:
    receipt = train.run(config(place, name="learns"), place.warehouse)
    losses = [value for _, name, value in curve(place, receipt) if name == "validation/loss"]
    assert min(losses) < losses[0] - 0.05
    assert receipt.outputs["validation_accuracy"] > 0.8 and receipt.outputs["best_step"] > 0
    assert not train.run(config(place, name="learns"), place.warehouse).changed
    row = place.warehouse.rows("SELECT * FROM models WHERE model_id = ?", [receipt.outputs["model_id"]])[0]
    folder = place.warehouse.root / row["uri"]
    assert row["kind"] == "reward_model" and row["sha256"] == weights_digest(folder)
    card = json.loads((folder / "rm.json").read_text())
    assert card["dataset"] == "bright" and card["instructions"]["t2v"]["overall"].startswith("overall quality")
    assert load_reward_model(place.warehouse, receipt.outputs["model_id"]).model_id == receipt.outputs["model_id"]


def test_kill_and_same_command_continue_bit_for_bit(place: Place, tmp_path: Path) -> None:
    undisturbed = train.run(config(place), place.warehouse)
    other = tmp_path / "other"
    with open_warehouse(str(other)) as warehouse:
        world.dataset(warehouse)
    _kill_after_a_checkpoint(other, config(place).model_dump_json())
    with open_warehouse(str(other)) as warehouse:
        resumed = train.run(config(place), warehouse)
        assert resumed.outputs == undisturbed.outputs
        assert curve(Place(warehouse, place.base), resumed) == curve(place, undisturbed)
        folders = [root / resumed.outputs["path"] for root in (warehouse.root, place.warehouse.root)]
        assert weights_digest(folders[0]) == weights_digest(folders[1])
    assert not list((other / "models").glob(".*"))


def _kill_after_a_checkpoint(root: Path, options: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(root), options], env=environment)
    deadline = time.monotonic() + 120
    while not list((root / "models").glob(".unfinished-*/step-*")):
        assert child.poll() is None and time.monotonic() < deadline, "no checkpoint before the end"
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not list((root / "models").glob("[!.]*")), "killed too late to say anything"
    checkpoint = newest(next((root / "models").glob(".unfinished-*")))
    assert checkpoint and {"learning.safetensors", "best.safetensors"} <= {path.name for path in checkpoint.iterdir()}
    about = json.loads((checkpoint / "about.json").read_text())
    assert (about["dataset"], about["version"], about["config"]["steps"]) == ("bright", 1, 30)
    assert about["code_version"] and about["base_id"] and about["dataset_hash"]


def test_adapters_train_little_and_are_merged(place: Place) -> None:
    receipt = train.run(config(place, lora_rank=4, steps=10, learning_rate=5e-3), place.warehouse)
    folder = place.warehouse.root / receipt.outputs["path"]
    assert not list(folder.glob("adapter*"))
    losses = [value for _, name, value in curve(place, receipt) if name == "validation/loss"]
    assert min(losses) < losses[0]
    load_reward_model(place.warehouse, receipt.outputs["model_id"])


def _silent(done: int, total: int, note: str) -> None:
    """Nobody watches."""


def _curve(place: Place, folder: Path, progress: Progress = _silent, **changes: object) -> dict[str, list[float]]:
    """Values by name of a training into `folder`, without rows."""
    chosen = config(place, **changes)
    asked = place.warehouse.rows("SELECT task, dimension, template FROM instructions "
                                 "WHERE dimension = 'overall' AND form = 'pairwise'")
    card = ModelCard(model_id="x", instructions={row["task"]: {row["dimension"]: row["template"]} for row in asked})
    start(TrainingJob(config=chosen, root=place.warehouse.root, base=Path(chosen.base), card=card, target=folder),
          progress)
    found: dict[str, list[float]] = defaultdict(list)
    for _, name, value in json.loads((folder / "curve.json").read_text()):
        found[name].append(value)
    return found


class Stop(Exception):
    """Ends a training in its middle."""


def _stop_at_3(done: int, total: int, note: str) -> None:
    if done == 3:
        raise Stop


def _of_processes(place: Place, folder: Path, count: int, shard: bool = False) -> Trained:
    """Curves and weights of a short training with an average of the weights; with shards it ends once, and goes on."""
    chosen = {"processes": count, "shard": shard, "steps": 4, "validate_every": 2, "learning_rate": 1e-3, "ema": 0.5}
    if shard:
        with pytest.raises(Stop):
            _curve(place, folder, _stop_at_3, **chosen)
        assert newest(folder.with_name(".unfinished-x")) is not None and not folder.exists()
    return _curve(place, folder, **chosen), load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def alone(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return _of_processes(place, tmp_path_factory.mktemp("alone") / "x", 1)


@pytest.mark.parametrize("shard", [False, True])
def test_two_processes_learn_what_one_learns(place: Place, tmp_path: Path, shard: bool, alone: Trained) -> None:
    """Each with all weights (DDP), and each with half of them (FSDP), which is stopped and goes on."""
    one, two = alone, _of_processes(place, tmp_path / "x", 2, shard)
    for name in ("train/loss", "validation/loss"):
        assert one[0][name] == pytest.approx(two[0][name], abs=1e-5) and len(set(one[0][name])) > 2
    assert one[1].keys() == two[1].keys()
    assert all(torch.allclose(value, two[1][name], atol=1e-4) for name, value in one[1].items())


@pytest.mark.slow
def test_a_process_that_fails_is_quoted(place: Place, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="share a batch of 1 pairs"):
        _curve(place, tmp_path / "x", processes=2, batch_pairs=1, steps=1)


def test_accumulated_batches_are_one_step(place: Place, tmp_path: Path) -> None:
    still = {"learning_rate": 1e-12, "batch_pairs": 4, "validation_samples": 0, "rationale_weight": 0}
    single = _curve(place, tmp_path / "1", steps=4, **still)["train/loss"]
    double = _curve(place, tmp_path / "2", steps=2, accumulate=2, **still)["train/loss"]
    assert double == pytest.approx([sum(single[:2]) / 2, sum(single[2:]) / 2], abs=1e-6)


def test_recomputing_changes_memory_only(place: Place, tmp_path: Path) -> None:
    plain, again = (_curve(place, tmp_path / str(on), steps=3, recompute=on) for on in (False, True))
    assert plain["train/loss"] == pytest.approx(again["train/loss"], abs=1e-5)


def test_half_precision_stays_close(place: Place, tmp_path: Path) -> None:
    full, half = (_curve(place, tmp_path / name, steps=3, precision=name) for name in ("float32", "bf16"))
    assert full["train/loss"] == pytest.approx(half["train/loss"], abs=0.05)
    assert full["train/loss"] != half["train/loss"]


def test_a_lost_run_stops_and_keeps_its_checkpoint(place: Place, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="loss is"):
        _curve(place, tmp_path / "x", learning_rate=1e20, warmup_steps=6, validate_every=1)
    kept = newest(tmp_path / ".unfinished-x")
    if kept:
        found = load_checkpoint(kept, "cpu")
        assert all(bool(torch.isfinite(value).all()) for value in found.learning.values())


def test_a_checkpoint_never_runs_code(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    save_checkpoint(folder, 3, Checkpoint({"w": torch.ones(2)}, {"w": torch.zeros(2)}, {}, {"at": 1}), {"dataset": "x"})
    found = load_checkpoint(folder / "step-00000003", "cpu")
    assert found.state == {"at": 1} and float(found.learning["w"].sum()) == 2
    save_checkpoint(folder, 20, found, {})
    assert [path.name for path in folder.iterdir()] == ["step-00000020"]
    torch.save(Harm(str(tmp_path / "harm")), folder / "step-00000020" / "state.pt")
    with pytest.raises(CorruptDataError, match="not a checkpoint"):
        load_checkpoint(folder / "step-00000020", "cpu")
    assert not (tmp_path / "harm").exists()


class Harm:
    """Unpickling it makes a folder."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self._path,)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "internvl"])
@pytest.mark.parametrize("rank", [0, 4])
def test_every_family_trains_saves_and_scores(place: Place, tmp_path: Path, family: str, rank: int) -> None:
    base = tiny.checkpoint(family, tmp_path / "base")
    losses = _curve(place, tmp_path / "x", base=str(base), lora_rank=rank, steps=6, learning_rate=5e-3,
                    warmup_steps=1)["validation/loss"]
    assert min(losses) < losses[0]
    model = load_reward_model(tmp_path, str(tmp_path / "x"))
    asked = PairItem("a red circle", world.frames(1), world.frames(2), "t2i", "overall")
    before = load_reward_model(tmp_path, str(base)).score_pairs([replace(asked, instruction=world.TEMPLATE)])
    assert 0 < float(model.score_pairs([asked])[0]) < 1 and float(before[0]) != float(model.score_pairs([asked])[0])


@pytest.mark.parametrize("family, rank", [("qwen3_vl", 4), ("qwen2_5_vl", 0), ("internvl", 4)])
def test_every_family_goes_on_bit_for_bit(place: Place, tmp_path: Path, family: str, rank: int) -> None:
    """Adapters, an average of the weights and a frozen vision tower too; the model is the same to the last bit."""
    base = tiny.checkpoint(family, tmp_path / "base")
    chosen = {"base": str(base), "lora_rank": rank, "steps": 4, "validate_every": 2, "warmup_steps": 1, "ema": 0.5,
              "batch_pairs": 4, "validation_samples": 4, "freeze_vision": rank > 0, "accumulate": 2}
    undisturbed = _curve(place, tmp_path / "a", **chosen)

    with pytest.raises(Stop):
        _curve(place, tmp_path / "b", _stop_at_3, **chosen)
    assert newest(tmp_path / ".unfinished-x") is not None
    assert _curve(place, tmp_path / "b", **chosen) == undisturbed
    assert weights_digest(tmp_path / "a") == weights_digest(tmp_path / "b")


def test_curves_go_to_tensorboard(place: Place, tmp_path: Path) -> None:
    from tensorboardX.proto import event_pb2
    from tensorboardX.record_writer import masked_crc32c

    losses = _curve(place, tmp_path / "x", steps=2, batch_pairs=2, validation_samples=2, track=("tensorboard",))
    [file] = (place.warehouse.root / "tracks" / "x" / "tensorboard").glob("events*")
    data, found = file.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        assert int.from_bytes(data[8:12], "little") == masked_crc32c(data[:8])
        event = event_pb2.Event.FromString(data[12:12 + length])
        found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
        data = data[12 + length + 4:]
    assert [value for _, name, value in found if name == "train/loss"] == pytest.approx(losses["train/loss"])
    assert {name for _, name, _ in found} == {"train/loss", "validation/loss", "validation/accuracy"}


def test_curves_go_to_wandb_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own file holds what was told, in order; nothing but the folder is touched."""
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_SILENT", "true")
    with trackers(("wandb",), tmp_path / "run", first=True) as [tell]:
        for step, value in ((1, 0.7), (2, 0.5)):
            tell(step, "train/loss", value)
    [file] = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
    data, at, found = file.read_bytes(), 7, []
    # After its head, LevelDB's log format: CRC, length and type before each record; a few small ones are one block.
    while at < len(data):
        length = int.from_bytes(data[at + 4:at + 6], "little")
        record = Record.FromString(data[at + 7:at + 7 + length])
        found += [json.loads(item.value_json) for item in record.history.item
                  if "train/loss" in (item.key, *item.nested_key)]
        at += 7 + length
    assert found == [0.7, 0.5]


def test_early_stop_keeps_the_best(place: Place) -> None:
    receipt = train.run(config(place, learning_rate=0.3, warmup_steps=0, steps=40, validate_every=2, patience=2),
                        place.warehouse)
    assert receipt.counts["steps"] < 40
    losses = {step: value for step, name, value in curve(place, receipt) if name == "validation/loss"}
    assert receipt.outputs["best_step"] == min(losses, key=lambda step: losses[step])


def test_unknown_names(place: Place) -> None:
    with pytest.raises(NotFoundError, match="no dataset"):
        train.run(config(place, version=7), place.warehouse)
    with pytest.raises(NotFoundError, match="no model"):
        train.run(config(place, base="nowhere"), place.warehouse)
