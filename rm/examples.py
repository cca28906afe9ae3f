"""Sample of a dataset version -> the two examples that it is in a form of reward model.

A pairwise form asks every pair in both orders with opposite targets, so that a preference for a place cannot be learned
(OneReward, arXiv 2508.21066, Eq. 3). The answer is the verdict, with the rationale after it, before it, or left out:
RL reads the verdict's token only, which therefore comes first unless told otherwise. A rationale speaks of the winner
and of no place (annotation/backend.py), so it holds in both orders; about one picture alone it says nothing, so that
pointwise forms learn without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from rm.bradley_terry import Ties
from rm.context import Context, Example, Frames
from rm.forms import FORMS, Form
from rm.shots import NO_SHOTS, Shots
from warehouse.errors import ConfigError, MediaError
from warehouse.hashing import sha256_hex
from warehouse.shards import Sample

Rationale = Literal["none", "verdict_first", "reason_first"]


class Decode(Protocol):
    """Media bytes to frames; `media_id` names the bytes."""

    def __call__(self, media_id: str, data: bytes) -> Frames: ...


@dataclass(frozen=True)
class Asking:
    """How samples are asked: `templates` {task: {dimension: template}}, empty takes the words in the shards.

    `references` is the most of a sample's further references that are shown, `shots` what is shown as worked examples.
    `end` closes the answer. `weigh_votes` lets a pair count as often as it was voted on.
    """

    form: Form = FORMS["pairwise"]
    templates: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    end: str = ""
    rationale: Rationale = "verdict_first"
    references: int = 0
    shots: Shots = NO_SHOTS
    weigh_votes: bool = False
    ties: Ties = "soft"

    def examples(self, sample: Sample, decode: Decode) -> tuple[Example, Example]:
        """The form's two examples of a sample, with targets; raises ConfigError where there are no words for it.

        Raises MediaError that names the sample where its media cannot be decoded.
        """
        a, b = (self._decoded(sample, side, decode) for side in "ab")
        template = self._template(sample)
        first, second = self.form.examples(template, sample.prompt, a, b, float(sample.facts["p_a"]),
                                           self._context(sample, template, decode))
        weight, tie = self._weight(sample), float(sample.facts["p_tie"])
        return (replace(self._answered(first, sample, "b"), weight=weight, tie=tie),
                replace(self._answered(second, sample, "a"), weight=weight, tie=tie))

    def _decoded(self, sample: Sample, side: str, decode: Decode) -> Frames:
        return _decoded(sample, str(sample.facts[f"media_{side}"]), sample.a if side == "a" else sample.b, decode)

    def _context(self, sample: Sample, template: str, decode: Decode) -> Context:
        condition = None if sample.condition is None else _decoded(sample, "", sample.condition, decode)
        shown = tuple(_decoded(sample, "", data, decode) for data in sample.references[:self.references])
        task, dimension, prompt_id = (str(sample.facts[name]) for name in ("task", "dimension", "prompt_id"))
        return Context(condition, shown, self.shots.parts(task, dimension, template, sample.key, prompt_id))

    def _weight(self, sample: Sample) -> float:
        votes = int(sample.facts["n_votes"])
        if self.ties == "win_tie" and 2 * int(sample.facts["n_both_bad"]) > votes:
            return 0.0
        return float(max(votes, 1)) if self.weigh_votes else 1.0

    def _template(self, sample: Sample) -> str:
        task, dimension = str(sample.facts["task"]), str(sample.facts["dimension"])
        if not self.templates:
            return sample.instruction
        if dimension not in self.templates.get(task, {}):
            raise ConfigError(f"no {self.form.name} instruction for {task}/{dimension}",
                              hint="add it to the file of instructions, and run rm.instructions")
        return self.templates[task][dimension]

    def _answered(self, example: Example, sample: Sample, image_2: str) -> Example:
        """With verdict and rationale where image 2 is candidate `image_2`; as it is where none names a winner."""
        winner = sample.facts["rationale_verdict"]
        if not self.form.asks_pairs or self.rationale == "none" or not sample.rationale or winner not in ("a", "b"):
            return example
        verdict = "yes" if winner == image_2 else "no"
        if self.rationale == "reason_first":
            return replace(example, reason=sample.rationale, answer=f" {verdict}{self.end}")
        return replace(example, answer=f"{verdict} {sample.rationale}{self.end}")


def _decoded(sample: Sample, media_id: str, data: bytes, decode: Decode) -> Frames:
    try:
        return decode(media_id or f"sha256:{sha256_hex(data)}", data)
    except MediaError as error:
        raise MediaError(error.message, reason=error.reason, where=f"sample {sample.key}, media {media_id}",
                         hint="find it with: rewarddance dataset lineage; build the version without it") from error
