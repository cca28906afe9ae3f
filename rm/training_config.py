"""What a training is told: the config of stage `train-reward-model`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rm.examples import ANSWER
from rm.model_folder import DEFAULT_MAX_FRAMES
from rm.training import Schedule
from warehouse.stage import StageConfig


class TrainConfig(StageConfig):
    """`base` is a model id or a checkpoint folder; empty `tasks` and `dimensions` take all; `lora_rank` 0 trains all.

    `form` is what is asked (forms.py): pairs, in the words of the shards, or single pictures, in the words of the
    pointwise instructions of `instruction_version`. A step takes `accumulate` batches of `batch_pairs` samples, each
    as the form's two examples. `freeze_vision` leaves the vision tower as it is, and computes each picture's features
    once in the whole run. `recompute` trades time for memory (gradient checkpointing, Chen et al., arXiv 1604.06174).
    `negatives` is the share of samples met once more with a candidate that says nothing (attacks.LESSONS): the cure
    for a model that fails the gate (arXiv 2507.08794). Validation sees at most `validation_samples`. `processes` on
    this machine share each batch; their number moves results by rounding only, so it names no model.
    """

    name: str
    base: str = Field(json_schema_extra={"place": True})
    dataset: str
    version: int
    tasks: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    form: Literal["pairwise", "pointwise", "regressive"] = "pairwise"
    instruction_version: int = Field(default=0, ge=0)
    steps: int = Field(default=300, ge=1)
    batch_pairs: int = Field(default=16, ge=1)
    accumulate: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_steps: int = Field(default=20, ge=0)
    rationale_weight: float = Field(default=0.1, ge=0)
    negatives: float = Field(default=0.0, ge=0, le=1)
    answer: str = ANSWER
    lora_rank: int = Field(default=0, ge=0)
    freeze_vision: bool = False
    validate_every: int = Field(default=50, ge=1)
    validation_samples: int = Field(default=256, ge=0)
    patience: int = Field(default=3, ge=0)
    max_frames: int = Field(default=DEFAULT_MAX_FRAMES, ge=1)
    max_pixels: int | None = None
    precision: Literal["float32", "bf16"] = "float32"
    recompute: bool = False
    seed: int = 0
    device: str = Field(default="cpu", json_schema_extra={"place": True})
    processes: int = Field(default=1, ge=1, json_schema_extra={"place": True})

    def schedule(self) -> Schedule:
        """The numbers that the loop needs."""
        return Schedule(self.steps, self.learning_rate, self.weight_decay, self.warmup_steps, self.rationale_weight,
                        self.validate_every, self.patience, self.accumulate, self.precision)
