"""Which arms a table of RewardDance (arXiv 2509.08826) has here, what the paper found, and which order it claims.

Every arm is the same training with a few settings changed. The halves of tables 7 and 9 that need reinforcement of a
generator belong to alignment: there the paper's figures are alignment scores after RL, ours are accuracies, so only
the order can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipelines.config import SOURCE_ROOT
from warehouse.errors import ConfigError

WEIGHTS = SOURCE_ROOT / "simulation" / "weights"
SIZES = ("small", "middle", "large")
MAIN_SIZE = "middle"


@dataclass(frozen=True)
class Arm:
    """One way to train; `changes` are options of TrainConfig."""

    name: str
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PaperTable:
    """`published` rows are (name, figures) under `columns`; each of `claims` is (worse arm, better arm)."""

    number: int
    title: str
    question: str
    arms: tuple[Arm, ...]
    claims: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    published: tuple[tuple[str, tuple[float, ...]], ...]
    note: str


def base_of(size: str) -> Path:
    """Folder of the committed vision-language model of a size."""
    return WEIGHTS / f"vlm_{size}"


def committed_sizes() -> tuple[str, ...]:
    """Sizes whose weights are here, smallest first."""
    return tuple(size for size in SIZES if (base_of(size) / "model.safetensors").is_file())


def _scaling() -> PaperTable:
    sizes = committed_sizes()
    return PaperTable(
        2, "Accuracy by size of the backbone", "Does a larger backbone make a more accurate reward model?",
        tuple(Arm(size, {"base": str(base_of(size))}) for size in sizes),
        tuple(pairwise(sizes)),
        ("ID accuracy %", "OOD accuracy %"),
        (("InternVL 1B", (64.70, 69.10)), ("InternVL 2B", (69.36, 69.59)), ("InternVL 4B", (65.37, 71.92)),
         ("InternVL 8B", (74.92, 71.94)), ("InternVL 26B", (78.44, 80.90))),
        "In the paper ID is a held-out part of its own pairs, OOD are pairs of ImageReward and HPS. Its 4B falls below "
        "its 2B in distribution, and its intervals, not printed there, are about 1.5 points wide on each side.")


def _forms() -> PaperTable:
    pointwise = {"instruction_version": 1, "rationale_weight": 0.0}
    return PaperTable(
        7, "Regressive, generative, generative with reference", "Is the generative form with a reference the best?",
        (Arm("pointwise regressive", {"form": "regressive", **pointwise}),
         Arm("pointwise generative", {"form": "pointwise", **pointwise}),
         Arm("pairwise generative + reference")),
        (("pointwise regressive", "pointwise generative"),
         ("pointwise generative", "pairwise generative + reference")),
        ("FLUX.1-dev after RL", "Seedream-3.0 after RL"),
        (("pointwise regressive", (70.8, 80.7)), ("pointwise generative", (71.6, 81.0)),
         ("pairwise generative + reference", (73.0, 81.6))),
        "The paper's figures are alignment scores of generators after RL with each reward model of 8B; ours are the "
        "reward models' own accuracies. The regressive head is new while the words yes and no are pretrained.")


def _rationales() -> PaperTable:
    return PaperTable(
        9, "With and without rationales", "Does learning to give reasons help the verdict?",
        (Arm("verdict only", {"rationale_weight": 0.0}), Arm("verdict, then rationale")),
        (("verdict only", "verdict, then rationale"),),
        ("Seedream-3.0 after RL",),
        (("without chain of thought", (81.6,)), ("with chain of thought", (83.6,))),
        "The paper's figures are alignment scores after RL; its rationales were distilled from a large teacher. Ours "
        "are a few words that simulated raters typed for about a quarter of the votes.")


_TABLES = {2: _scaling, 7: _forms, 9: _rationales}


def find_table(number: int) -> PaperTable:
    """The table of a number; raises ConfigError for one that is not built here, or without weights."""
    if number not in _TABLES:
        raise ConfigError(f"no table {number} here", hint=f"one of {', '.join(map(str, _TABLES))}")
    if MAIN_SIZE not in committed_sizes():
        raise ConfigError(f"no weights of the {MAIN_SIZE} model", where=str(base_of(MAIN_SIZE)),
                          hint="make them: python -m simulation.pretrain vlm_middle")
    return _TABLES[number]()
