"""Stage `align`: reinforcement learning of a policy against the reward model, watched, resumable, best checkpoint kept.

Reward = P(yes) that a sample beats the prompt's best-of-N reference (arXiv 2509.08826, Sec. 3.3). A few prompts, by
hash, are kept from training and measured with fixed noise; on them the monitor chooses the checkpoint. The adapter
goes to `WAREHOUSE/models/MODEL_ID`, the curves to `metrics`, alarms to `events`, and a row to `models`. Kill -9 and
the same command continue from the last checkpoint, which the warehouse keeps until then, and end with the same bytes.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from alignment.flow_grpo import FlowGrpo
from alignment.held_out import HeldOut
from alignment.monitor import Monitor, Rules
from alignment.policy import Policy
from alignment.references import read_goals
from alignment.refl import Refl
from alignment.reward import Goal, ReferenceReward
from alignment.training import Algorithm, Schedule, Training
from rm.scorers import Scorer
from rm.scorers.as_reward import rewarding
from rm.scorers.named import named_scorer
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import canonical_json, content_id
from warehouse.plugins import load_plugin
from warehouse.records import Row
from warehouse.stage import Receipt, Recorder, StageConfig, code_version, run_stage


class AlignConfig(StageConfig):
    """Policy, reward, algorithm and limits.

    `policy` is a plug-in `module:factory` called with `policy_options`; `references` is the rank_key of a references
    stage. `sampling_steps` 0 means the policy's own. `lambda_clip`, `gradient_steps` and `shift_px` belong to ReFL;
    `sde_steps`, `fresh`, `inner_steps` and `clip_range` to Flow-GRPO; `kl` weighs each one's distance from the start.
    `gold` is a plug-in that only the log sees.

    Instead of `reward_model`, Flow-GRPO may take somebody else's `scorer` (rm/scorers) and its options. A second judge,
    `held_out_model` or `held_out_scorer`, is asked at each measurement and rewards nothing: where it sees no gain, the
    policy has learned to please the first.
    """

    name: str
    policy: str
    # What these two decide is in their revisions, which are inputs; where they lie is not.
    policy_options: dict[str, Any] = Field(default_factory=dict, json_schema_extra={"place": True})
    # Whoever judges is an input by id; where it runs is not.
    reward_model: str = Field(default="", json_schema_extra={"place": True})
    scorer: str = Field(default="", json_schema_extra={"place": True})
    scorer_options: dict[str, Any] = Field(default_factory=dict, json_schema_extra={"place": True})
    held_out_model: str = Field(default="", json_schema_extra={"place": True})
    held_out_scorer: str = Field(default="", json_schema_extra={"place": True})
    held_out_options: dict[str, Any] = Field(default_factory=dict, json_schema_extra={"place": True})
    references: str
    task: str = "t2i"
    dimension: str = "overall"
    method: Literal["refl", "flow_grpo"] = "refl"
    steps: int = Field(default=60, ge=1)
    prompts_per_step: int = Field(default=16, ge=1)
    group: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    lora_rank: int = Field(default=16, ge=1)
    average: float = Field(default=0.9, ge=0, lt=1)
    kl: float = Field(default=0.0, ge=0)
    sampling_steps: int = Field(default=0, ge=0)
    lambda_clip: float = Field(default=1.0, gt=0, le=1)
    gradient_steps: int = Field(default=2, ge=1)
    shift_px: int = Field(default=0, ge=0)
    sde_steps: int = Field(default=3, ge=1)
    fresh: float = Field(default=0.7, gt=0, lt=1)
    inner_steps: int = Field(default=1, ge=1)
    clip_range: float = Field(default=1e-3, gt=0)
    held_out_prompts: int = Field(default=24, ge=1)
    measure_every: int = Field(default=10, ge=1)
    window: int = Field(default=10, ge=1)
    spread_floor: float = Field(default=0.0, ge=0)
    drift_limit: float | None = Field(default=None, gt=0)
    patience: int = Field(default=0, ge=0)
    gold: str = ""
    gold_options: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class _Run:
    """What one alignment works on; `model_id` follows from the config, the starting weights and the references."""

    config: AlignConfig
    warehouse: Warehouse
    policy: Policy
    judge: Scorer
    second: Scorer | None
    model_id: str

    @property
    def reward_model_id(self) -> str:
        return self.judge.model_id

    @property
    def folder(self) -> Path:
        return self.warehouse.root / "models" / self.model_id

    @property
    def checkpoint(self) -> Path:
        return self.warehouse.root / "work" / "align" / self.model_id / "checkpoint.pt"


def run(config: AlignConfig, warehouse: Warehouse) -> Receipt:
    """Align; outputs model_id, proxy before and after, spread, drift, best step, and which rule stopped it, if any."""
    policy: Policy = load_plugin(config.policy)(**config.policy_options)
    if policy.task != config.task:
        raise ConfigError(f"the policy {policy.name} is for {policy.task}, the config says {config.task}")
    digest = warehouse.digest("SELECT * FROM reference_ranks WHERE starts_with(rank_id, ?)", [f"{config.references}-"])
    judge = named_scorer(warehouse, config.reward_model, config.scorer, config.scorer_options)
    second = (named_scorer(warehouse, config.held_out_model, config.held_out_scorer, config.held_out_options)
              if config.held_out_model or config.held_out_scorer else None)
    inputs = {"policy": content_id(policy.revision, canonical_json(dict(policy.params))), "references": digest,
              "reward_model": judge.model_id} | ({"held_out_reward": second.model_id} if second else {})
    run_of = _Run(config, warehouse, policy, judge, second,
                  content_id("policy", canonical_json(config.identity()), canonical_json(inputs)))
    return run_stage("align", config, warehouse, inputs, lambda recorder: _body(run_of, recorder))


def _body(run_of: _Run, recorder: Recorder) -> None:
    stored = run_of.warehouse.rows("SELECT metrics_json FROM models WHERE model_id = ?", [run_of.model_id])
    if stored:
        # A kill fell between the rows and the receipt.
        outputs = json.loads(stored[0]["metrics_json"])
    else:
        start = run_of.policy.revision
        monitor = _train(run_of, recorder)
        outputs = summary(monitor)
        sha256 = _write_adapter(run_of, start)
        _write_rows(run_of, recorder, monitor, outputs, start, sha256)
    recorder.count("steps", int(outputs["steps"]))
    recorder.output("model_id", run_of.model_id)
    for name, value in outputs.items():
        recorder.output(name, value)
    shutil.rmtree(run_of.checkpoint.parent, ignore_errors=True)


def _algorithm(config: AlignConfig, policy: Policy) -> Algorithm:
    steps = config.sampling_steps or policy.steps
    if config.method == "refl":
        if config.gradient_steps > steps:
            raise ConfigError(f"gradient_steps {config.gradient_steps} is more than the {steps} sampling steps")
        return Refl(steps, config.gradient_steps, config.lambda_clip, config.kl, config.shift_px)
    if config.group < 2:
        raise ConfigError("flow_grpo compares within a group: group must be at least 2")
    return FlowGrpo(steps, config.sde_steps, config.fresh, config.inner_steps, config.clip_range, config.kl)


def split_goals(goals: list[Goal], held_out: int) -> tuple[list[Goal], list[Goal]]:
    """(training, held out): the first goals in hash order are held out, never more than a third."""
    kept = min(held_out, len(goals) // 3)
    if not kept:
        raise ConfigError(f"{len(goals)} prompts with references are too few to hold one out of three",
                          hint="rank more prompts")
    return goals[kept:], goals[:kept]


def _train(run_of: _Run, recorder: Recorder) -> Monitor:
    config, policy = run_of.config, run_of.policy
    algorithm = _algorithm(config, policy)
    judges = [each for each in (run_of.judge, run_of.second) if each]
    reward, *others = [ReferenceReward(rewarding(each), config.task, config.dimension) for each in judges]
    frames = min(each.max_frames for each in judges)
    training_goals, held_out_goals = split_goals(
        read_goals(run_of.warehouse, config.references, config.task, frames), config.held_out_prompts)
    recorder.count("prompts", len(training_goals))
    recorder.count("held_out_prompts", len(held_out_goals))
    gold = load_plugin(config.gold)(**config.gold_options) if config.gold else None
    policy.add_lora(config.lora_rank, config.seed)
    schedule = Schedule(config.steps, config.prompts_per_step, config.group, config.learning_rate, config.average,
                        config.measure_every, config.seed)
    rules = Rules(config.window, config.spread_floor, config.drift_limit, config.patience)
    held_out = HeldOut(held_out_goals, reward, config.seed, gold, *others)
    training = Training(policy, algorithm, reward, training_goals, held_out, schedule, rules)
    training.run(run_of.checkpoint, recorder.progress)
    return training.monitor


def summary(monitor: Monitor) -> dict[str, Any]:
    """The outputs of a finished run: before is the start, after the best checkpoint, both on the held-out prompts."""
    first, best, spreads = monitor.measured[0], monitor.best, monitor.spreads()
    found: dict[str, Any] = {
        "proxy_before": first["proxy"], "proxy_after": best["proxy"],
        "spread_first": spreads[0], "spread_last": spreads[-1],
        "drift": best["drift"], "diversity_before": first["diversity"], "diversity_after": best["diversity"],
        "best_step": monitor.best_step, "steps": int(monitor.measured[-1]["step"]), "stopped": monitor.stopped,
        "warnings": [alarm.rule for alarm in monitor.alarms if not alarm.stops],
    }
    if "second" in first:
        found |= {"second_before": first["second"], "second_after": best["second"]}
    if "gold" in first:
        found |= {"gold_before": first["gold"], "gold_after": best["gold"]}
    return found


def _write_adapter(run_of: _Run, start: str) -> str:
    """The model folder, under its name only once it is whole; returns the adapter's SHA-256."""
    part = run_of.folder.with_name(f".part-{run_of.model_id}")
    for old in (part, run_of.folder):
        shutil.rmtree(old, ignore_errors=True)
    part.mkdir(parents=True)
    sha256 = run_of.policy.save(part, {"start_revision": start, "reward_model_id": run_of.reward_model_id,
                                       "config": run_of.config.identity()})
    os.replace(part, run_of.folder)
    return sha256


def _write_rows(run_of: _Run, recorder: Recorder, monitor: Monitor, outputs: dict[str, Any], start: str,
                sha256: str) -> None:
    """Curves, alarms, and last the model's row, in one transaction."""
    config, warehouse, now = run_of.config, run_of.warehouse, datetime.now(UTC).replace(tzinfo=None)
    judge = warehouse.rows("SELECT dataset_name, dataset_version, dataset_hash FROM models WHERE model_id = ?",
                           [run_of.reward_model_id])
    model: Row = {
        "model_id": run_of.model_id, "kind": "policy", "name": config.name, "uri": f"models/{run_of.model_id}",
        "parent_id": config.policy_options.get("adapter") or start, "reward_model_id": run_of.reward_model_id,
        "config_json": canonical_json(config.identity()), "metrics_json": canonical_json(outputs),
        "code_version": code_version(), "sha256": sha256, "created_at": now} | (judge[0] if judge else {})
    alarms = [{"event_id": content_id("alarm", run_of.model_id, alarm.step, alarm.rule), "kind": "alignment_alarm",
               "payload_json": canonical_json({"model_id": run_of.model_id, **vars(alarm)}), "created_at": now}
              for alarm in monitor.alarms]
    curves = [{"run_key": run_of.model_id, "step": step, "name": name, "value": value}
              for step, name, value in monitor.metrics]
    with warehouse.commit(f"align {config.name}"):
        warehouse.merge("metrics", curves, run_id=recorder.run_id)
        warehouse.merge("events", alarms, run_id=recorder.run_id)
        warehouse.merge("models", [model], run_id=recorder.run_id)
