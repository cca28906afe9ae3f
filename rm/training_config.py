"""What a training is told: the config of stage `train-reward-model`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rm.bradley_terry import Ties
from rm.examples import Rationale
from rm.losses import Weights
from rm.model_folder import DEFAULT_MAX_FRAMES
from rm.training import Schedule
from warehouse.stage import StageConfig


class TrainConfig(StageConfig):
    """`base` is a model id or a checkpoint folder; empty `tasks` and `dimensions` take all; `lora_rank` 0 trains all.

    `form` is what is asked (forms.py): pairs, in the words of the shards, or single pictures, in the words of the
    pointwise instructions of `instruction_version`. A step takes `accumulate` batches of `batch_pairs` samples, each
    as the form's two examples.

    Context: `rationale` says whether reasons are learned, before or after the verdict (of at most `reason_tokens` when
    asked), `references` is the most of a sample's further references that are shown, `shots` the worked examples
    before each question. Loss: `verdict_weight` and `rationale_weight` of the answer's parts; `ties` is how the
    pointwise forms treat ties (bradley_terry.py); `weigh_votes` counts a pair as often as it was voted on; `ema` is the
    decay of an average of the weights, which is then validated and kept (0: none).

    `freeze_vision` leaves the vision tower as it is, and computes each picture's features
    once in the whole run. `recompute` trades time for memory (gradient checkpointing, Chen et al., arXiv 1604.06174).
    `negatives` is the share of adversarial samples (negatives.py) in what is met, the cure for a model that fails the
    gate: 0 is none, empty all that the version has. `bucket_batches` at a time are cut from samples sorted by length,
    which saves padding where prompts and pictures differ in size; 0 does not sort. Validation sees at most
    `validation_samples`. `processes` on this machine share each batch; their number moves results by rounding only, so
    it names no model. `shard` gives each of them a part of the weights (sharding.py), for models larger than a GPU.
    `track` writes the curves elsewhere too, under <warehouse>/tracks/<model id> (trackers.py).
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
    negatives: float | None = Field(default=None, ge=0, lt=1)
    bucket_batches: int = Field(default=0, ge=0)
    rationale: Rationale = "verdict_first"
    reason_tokens: int = Field(default=64, ge=1)
    references: int = Field(default=0, ge=0)
    shots: int = Field(default=0, ge=0)
    verdict_weight: float = Field(default=1.0, ge=0)
    ties: Ties = "soft"
    weigh_votes: bool = False
    ema: float = Field(default=0.0, ge=0, lt=1)
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
    shard: bool = Field(default=False, json_schema_extra={"place": True})
    track: tuple[Literal["tensorboard", "wandb"], ...] = Field(default=(), json_schema_extra={"place": True})

    @model_validator(mode="after")
    def _context_of_pairs(self) -> TrainConfig:
        if self.form != "pairwise" and (self.references or self.shots or self.rationale == "reason_first"):
            raise ValueError("references, shots and reasons before the verdict belong to the form pairwise")
        if self.shard and self.processes == 1:
            raise ValueError("shard divides the weights among processes: say processes: 2 or more")
        if self.form == "pairwise" and self.ties != "soft":
            raise ValueError("ties are soft in the form pairwise: the verdict is between yes and no")
        return self

    def schedule(self) -> Schedule:
        """The numbers that the loop needs."""
        rationale_weight = 0.0 if self.rationale == "none" else self.rationale_weight
        return Schedule(self.steps, self.learning_rate, self.weight_decay, self.warmup_steps,
                        Weights(self.verdict_weight, rationale_weight, self.ties), self.validate_every,
                        self.patience, self.accumulate, self.precision, self.ema)
