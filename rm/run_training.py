"""One training from files to files: a base folder and shards in, a reward model's folder out.

Knows no tables, so that it runs alike in the stage's own process and in each process that torchrun starts
(`python -m rm.run_training JOB.json`, written by `start`). Killing the stage ends them: their progress goes nowhere.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from rm.examples import Asking
from rm.families import load_family
from rm.families.family import Family
from rm.forms import add_head, find_form
from rm.lengths import token_lengths
from rm.loader import ALONE, BatchPlan, FrameCache, PairExamples, training_loader
from rm.model_folder import ModelCard, save_model
from rm.processes import Processes, joined
from rm.sharding import whole
from rm.shots import SHOTS_FILE, Shots, choose_shots
from rm.trackers import trackers
from rm.training import Progress, Progressing, Training, add_adapters
from rm.training_config import TrainConfig
from rm.validation import Validator
from warehouse.errors import TrainingError
from warehouse.shards import ShardDataset, open_split

CURVE_FILE = "curve.json"
TRACKS = "tracks"


class TrainingJob(BaseModel):
    """All that a process needs; `card` as it stands before training, `target` the folder to be made."""

    config: TrainConfig
    root: Path
    base: Path
    card: ModelCard
    target: Path

    @property
    def unfinished(self) -> Path:
        """Where checkpoints lie until the model is whole."""
        return self.target.with_name(f".unfinished-{self.card.model_id}")


def run_training(job: TrainingJob, progress: Progress, processes: Processes = ALONE) -> None:
    """Train, or go on from the last checkpoint; the first process writes the model's folder."""
    config = job.config
    family = load_family(job.base, config.max_pixels)
    model, _ = _prepared(job, family, processes.device(config.device))
    form, decode = find_form(config.form), FrameCache(config.max_frames)

    def split(name: str) -> list[ShardDataset]:
        return [open_split(job.root, config.dataset, config.version, name, seed=config.seed, tasks=[task],
                           dimensions=config.dimensions) for task in job.card.instructions]

    shots = choose_shots(split("train"), config.shots, decode)
    asking = Asking(form, {} if form.asks_pairs else job.card.instructions, family.end, config.rationale,
                    config.references, shots, config.weigh_votes, config.ties)
    train = PairExamples(split("train"), decode, asking)
    lengths = token_lengths(train, family, config.max_frames) if config.bucket_batches else None
    plan = BatchPlan(train, config.batch_pairs, config.seed, processes, config.negatives, lengths,
                     config.bucket_batches)
    loader = training_loader(train, plan, family)
    validator = Validator(family, PairExamples(split("validation"), decode, asking), config.validation_samples,
                          config.negatives)
    with trackers(config.track, job.root / TRACKS / job.card.model_id, processes.first) as followed:
        training = Training(family, model, config.schedule(), loader, validator, job.unfinished,
                            job.card.model_dump(mode="json"), processes, followed)
        at = training.run(progress)
    # Every process gives its part of sharded weights; only the first one writes.
    best = whole(training.learning)
    if processes.first:
        _finish(job, family, best, at, shots)


def _prepared(job: TrainingJob, family: Family, device: str) -> tuple[Any, Any]:
    """The base model as it is trained, and peft's wrapper around it, if any: the same in every process."""
    config = job.config
    torch.manual_seed(config.seed)
    model = family.load_model(job.base).to(device)
    wrapped = add_adapters(model, config.lora_rank) if config.lora_rank else None
    for parameter in family.vision_parameters(model) if config.freeze_vision else ():
        parameter.requires_grad_(False)
    if config.recompute:
        model.activation_checkpointing_enable({"use_reentrant": False})
    if config.form == "regressive":
        add_head(model)
    return model, wrapped


def _finish(job: TrainingJob, family: Family, weights: Mapping[str, Tensor], at: Progressing, shots: Shots) -> None:
    """The model's folder from a fresh base and the weights that learned."""
    model, wrapped = _prepared(job, family, "cpu")
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name in weights:
                value.copy_(weights[name])
    model = wrapped.merge_and_unload() if wrapped else model
    metrics = {"best_step": float(at.best_step), "last_step": float(at.step), "validation_loss": at.best_loss,
               "validation_accuracy": at.best_accuracy}
    metrics = {name: value for name, value in metrics.items() if value == value}
    card = job.card.model_copy(update={"metrics": metrics})
    extra = {CURVE_FILE: json.dumps(at.curve) + "\n"} | ({SHOTS_FILE: shots.dump()} if shots.count else {})
    save_model(model, job.base, card, extra, job.target)
    shutil.rmtree(job.unfinished, ignore_errors=True)


def start(job: TrainingJob, progress: Progress) -> None:
    """Run the job in this process, or in as many as its config says; raises TrainingError with their last words."""
    if job.config.processes == 1:
        return run_training(job, progress)
    job.unfinished.mkdir(parents=True, exist_ok=True)
    file, log = job.unfinished / "job.json", job.unfinished / "processes.log"
    file.write_text(job.model_dump_json(), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               f"--nproc-per-node={job.config.processes}", "-m", "rm.run_training", str(file)]
    with (log.open("w", encoding="utf-8") as errors,
          subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as started):
        try:
            for line in started.stdout or ():
                _pass_on(line, progress)
        except BaseException:
            # torchrun ends its processes before itself, and leaving the block waits for it.
            started.terminate()
            raise
    if started.returncode:
        last = re.findall(r"^(?:\[rank\d+\]: )?[\w.]*Error: (.*)$", log.read_text(encoding="utf-8"), re.MULTILINE)
        raise TrainingError(f"{job.config.processes} processes ended with {started.returncode}: {''.join(last[:1])}",
                            where=str(log), hint="the last checkpoint is kept; the file holds all they said")
    return None


def _tell(done: int, total: int, note: str) -> None:
    print(json.dumps([done, total, note]), flush=True)


def _pass_on(line: str, progress: Progress) -> None:
    if line.startswith("["):
        progress(*json.loads(line))


def _silent(done: int, total: int, note: str) -> None:
    """Processes other than the first say nothing."""


def main(path: str) -> None:
    """What each process does."""
    job = TrainingJob.model_validate_json(Path(path).read_text(encoding="utf-8"))
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // job.config.processes))
    with joined(job.config.device, job.config.shard) as processes:
        run_training(job, _tell if processes.first else _silent, processes)


if __name__ == "__main__":
    main(sys.argv[1])
