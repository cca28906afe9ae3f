"""Sample of a dataset version -> the two examples that it is in a form of reward model.

A pairwise form asks every pair in both orders with opposite targets, so that a preference for a place cannot be learned
(OneReward, arXiv 2508.21066, Eq. 3). The answer is the verdict first, then the rationale: RL reads the verdict's token
only. A rationale speaks of the winner and of no place (annotation/backend.py), so it holds in both orders; about one
picture alone it says nothing, so that pointwise forms learn without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rm.attacks import LESSONS, attacked
from rm.context import Example, Frames
from rm.forms import FORMS, Form
from warehouse.errors import ConfigError
from warehouse.hashing import sha256_hex
from warehouse.shards import Sample

ANSWER = "{verdict} {rationale}"


class Decode(Protocol):
    """Media bytes to frames; `media_id` names the bytes."""

    def __call__(self, media_id: str, data: bytes) -> Frames: ...


@dataclass(frozen=True)
class Asking:
    """How samples are asked: `templates` {task: {dimension: template}}, empty takes the words in the shards.

    `answer` joins verdict and rationale, `end` closes it.
    """

    form: Form = FORMS["pairwise"]
    templates: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    end: str = ""
    answer: str = ANSWER

    def examples(self, sample: Sample, decode: Decode) -> tuple[Example, Example]:
        """The form's two examples of a sample, with targets; raises ConfigError where there are no words for it."""
        a, b = decode(sample.facts["media_a"], sample.a), decode(sample.facts["media_b"], sample.b)
        answers = (self._answer(sample, "b"), self._answer(sample, "a"))
        return self.form.examples(self._template(sample), sample.prompt, a, b, float(sample.facts["p_a"]), answers)

    def negative(self, sample: Sample, decode: Decode) -> tuple[Example, Example]:
        """The sample's winner against a candidate that says nothing: which lesson it is follows from the sample."""
        side = "a" if float(sample.facts["p_a"]) >= 0.5 else "b"
        winner = decode(sample.facts[f"media_{side}"], sample.a if side == "a" else sample.b)
        number = int(sha256_hex(sample.key.encode())[:8], 16)
        lesson = sorted(LESSONS)[number % len(LESSONS)]
        key = attacked(winner, sample.prompt, lesson, number)
        return self.form.examples(self._template(sample), sample.prompt, winner, key, 1.0)

    def _template(self, sample: Sample) -> str:
        task, dimension = str(sample.facts["task"]), str(sample.facts["dimension"])
        if not self.templates:
            return sample.instruction
        if dimension not in self.templates.get(task, {}):
            raise ConfigError(f"no {self.form.name} instruction for {task}/{dimension}",
                              hint="add it to the file of instructions, and run rm.instructions")
        return self.templates[task][dimension]

    def _answer(self, sample: Sample, image_2: str) -> str | None:
        """Verdict and rationale where image 2 is candidate `image_2`; None without one that names a winner."""
        winner = sample.facts["rationale_verdict"]
        if not sample.rationale or winner not in ("a", "b"):
            return None
        said = self.answer.format(verdict="yes" if winner == image_2 else "no", rationale=sample.rationale)
        return said + self.end
