"""Gold of stored candidates and of frames, for one population's taste."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.gold import score_frames, score_media, to_world
from simulation.perception import look, shows
from simulation.scenes import parse_prompt
from simulation.tastes import TASTES, utility
from warehouse import Warehouse
from warehouse.errors import NotFoundError
from warehouse.media.decode import decode_frames

_CANDIDATES = """
SELECT c.candidate_id, c.prompt_id, c.seed, p.text AS prompt, p.domain, p.task, c.media_id
FROM candidates c JOIN prompts p USING (prompt_id)
WHERE c.generator_id = ? AND p.source = ? AND c.media_id IS NOT NULL ORDER BY c.candidate_id"""


@dataclass(frozen=True)
class Judged:
    """A candidate with its gold: `overall` utility and its parts, all in [0, 1]; no prompt asks for the `look`."""

    candidate_id: str
    prompt_id: str
    seed: int
    prompt: str
    domain: str
    media_id: str
    overall: float
    alignment: float
    quality: float
    motion: float
    look: float
    strict: bool


def looks(scores: dict[str, float], taste: str) -> float:
    """How well size and warmth please a population, 0 to 1."""
    chosen = TASTES[taste]
    size = scores["size"] if chosen.large else 1.0 - scores["size"]
    warmth = scores["warmth"] if chosen.warm else 1.0 - scores["warmth"]
    return 0.5 * (size * scores["presence"] + warmth)


def _strict(data: bytes, prompt: str) -> bool:
    """The picture, or each frame of the clip, shows exactly what the prompt names (motion aside)."""
    frames = to_world(decode_frames(data)[0])
    spec = parse_prompt(prompt)
    return all(shows(look(frame), spec) for frame in frames[:: max(1, len(frames) - 1)])


def judge(warehouse: Warehouse, generator_id: str, source: str, taste: str) -> list[Judged]:
    """All stored candidates of one generator for the prompts of one source; NotFoundError where there is none."""
    rows = warehouse.rows(_CANDIDATES, [generator_id, source])
    if not rows:
        raise NotFoundError(f"no candidates of generator {generator_id[:12]} for prompts of source {source!r}",
                            hint="run a candidates stage first")
    judged = []
    for row in rows:
        data = warehouse.media.get(row["media_id"])
        scores = score_media(data, row["prompt"])
        named = {key: row[key] for key in ("candidate_id", "prompt_id", "seed", "prompt", "domain", "media_id")}
        judged.append(Judged(**named, overall=utility(scores, taste, "overall"), alignment=scores["alignment"],
                             quality=scores["quality"], motion=scores["motion"], look=looks(scores, taste),
                             strict=_strict(data, row["prompt"])))
    return judged


def by_prompt(judged: Sequence[Judged]) -> dict[str, list[Judged]]:
    """Candidates of each prompt, in candidate order."""
    groups: dict[str, list[Judged]] = {}
    for item in judged:
        groups.setdefault(item.prompt_id, []).append(item)
    return groups


class GoldScorer:
    """The plug-in that alignment's monitor may log: gold of frames that are not stored."""

    def __init__(self, taste: str) -> None:
        self.taste = taste

    def score(self, prompt: str, frames: NDArray[np.uint8]) -> float:
        """Overall gold in [0, 1] of uint8 [T, 32, 32, 3]."""
        return utility(score_frames(frames, prompt), self.taste, "overall")


def gold_scorer(taste: str) -> GoldScorer:
    """`simulation.evaluate.golden:gold_scorer`, named in a configuration."""
    return GoldScorer(taste)
