"""Scoring many candidates of a prompt: the shared prefix against the plain forward pass, and cheap tournaments.

Both sides of each row run in turns in one process, in CPU seconds of one thread, on candidates that the simulation's
generator makes, asked by the demo's template. Plain: every pair through the whole model, both its pictures encoded. The
ceiling is what counting floating-point operations of both sides allows (torch's FlopCounterMode, attention included).
The tournament is judged by a reward model that learned from votes: the newest in $REWARDDANCE_WAREHOUSE, else in
runs/demo/warehouse (`make demo`); without one its rows are missing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from alignment.references import PromptComparer  # noqa: E402
from alignment.tournament import finals, round_robin  # noqa: E402
from benchmarks._reporting import Row, arguments, finish  # noqa: E402
from rm.context import Frames, pairwise  # noqa: E402
from rm.families import load_family  # noqa: E402
from rm.instructions import read_instructions  # noqa: E402
from rm.model_folder import ModelCard  # noqa: E402
from rm.reward_model import RewardModel, load_reward_model, sigmoid  # noqa: E402
from simulation.policy import image_generator  # noqa: E402
from simulation.prompt_set import image_prompts  # noqa: E402
from warehouse import open_warehouse  # noqa: E402
from warehouse.media.decode import decode_image  # noqa: E402

WEIGHTS = ROOT / "simulation" / "weights" / "vlm_middle"
INSTRUCTIONS = ROOT / "configs" / "instructions" / "simulation.yaml"
PARTICIPANTS = 16


def candidates(prompt: str, count: int) -> list[Frames]:
    """Pictures of the simulation's generator."""
    made = image_generator().generate([prompt] * count, list(range(count)))
    return [Frames(decode_image(data)[None]) for data in made]


def model() -> tuple[RewardModel, str]:
    """The simulation's model and the demo's template."""
    template = next(row["template"] for row in read_instructions(INSTRUCTIONS)
                    if (row["task"], row["dimension"]) == ("t2i", "overall"))
    family = load_family(WEIGHTS)
    return RewardModel(family, family.load_model(WEIGHTS), ModelCard(model_id="bench")), template


def plain(scorer: RewardModel, template: str, prompt: str, references: Sequence[Frames],
          pictures: Sequence[Frames]) -> NDArray[np.float32]:
    """[K, N] with nothing shared: every pair's own pictures, through the whole model, 64 pairs a batch."""
    own = [pairwise(template, prompt, Frames(reference.pixels.copy()), Frames(picture.pixels.copy()))
           for reference in references for picture in pictures]
    found = []
    with torch.inference_mode():
        for start in range(0, len(own), 64):
            batch = scorer.family.encode(own[start:start + 64])
            states = scorer.family.verdict_states(scorer.model, batch)
            found.append(scorer.form.read(scorer.family, scorer.model, states).numpy())
    return sigmoid(np.concatenate(found)).reshape(len(references), len(pictures))


def flops(work: Callable[[], object]) -> int:
    """Floating-point operations of one call."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def cpu_seconds(first: Callable[[], object], second: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median CPU seconds of each, in turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, seconds in zip((first, second), taken, strict=True):
            clock = time.process_time()
            work()
            seconds.append(time.process_time() - clock)
    return float(np.median(taken[0])), float(np.median(taken[1]))


def prefix_rows(scorer: RewardModel, template: str, references: int, count: int, rounds: int) -> list[Row]:
    """Share of the ceiling, and the largest difference between the two sides of the same run."""
    prompt = next(iter(image_prompts(1)))["text"]
    shown = candidates(prompt, references + count)
    met, pictures = shown[:references], shown[references:]

    def slow() -> NDArray[np.float32]:
        return plain(scorer, template, prompt, met, pictures)

    def fast() -> NDArray[np.float32]:
        return scorer.score_group(prompt, met, pictures, "t2i", "overall", template)

    difference = float(np.abs(slow() - fast()).max())
    ceiling = flops(slow) / flops(fast)
    slow_s, fast_s = cpu_seconds(slow, fast, rounds)
    share, size = slow_s / fast_s / ceiling, f"{count} candidates, {references} reference{'s' * (references > 1)}"
    return [Row(f"speed-up by the shared prefix, {size}; peer: ceiling by FLOPs", slow_s / fast_s, ceiling, share,
                f"times ({count * references / fast_s:.0f} pairs per CPU s)", 0.7, share >= 0.7),
            Row(f"largest difference from the plain pass, {size}", difference, None, 1e-4 / max(difference, 1e-9),
                "P(yes), at most 1e-4", 1.0, difference <= 1e-4)]


def judge() -> tuple[Path, str] | None:
    """Warehouse and id of the newest reward model that learned from votes."""
    for place in (os.environ.get("REWARDDANCE_WAREHOUSE", ""), str(ROOT / "runs" / "demo" / "warehouse")):
        if place and (Path(place) / "models").is_dir():
            with open_warehouse(place) as warehouse:
                found = warehouse.rows(
                    "SELECT model_id FROM models m JOIN runs r USING (run_id) WHERE kind = 'reward_model' AND "
                    "m.name NOT LIKE '%shuffled%' AND m.name NOT LIKE '%pretrained%' ORDER BY finished_at DESC LIMIT 1")
            if found:
                return Path(place), found[0]["model_id"]
    return None


def tournament_rows(place: Path, model_id: str, prompts: int) -> list[Row]:
    """Comparisons of the cheap tournament, and how often it finds round robin's two best."""
    scorer = load_reward_model(place, model_id)
    asked, same, top, played = 0, 0, 0, 0
    for row in image_prompts(prompts):
        pictures = candidates(row["text"], PARTICIPANTS)
        comparer = PromptComparer(scorer, row["text"], "t2i", "overall")
        counted = _Counted(comparer)
        cheap, whole = finals(counted, pictures), round_robin(comparer, pictures)
        asked, played = asked + counted.pairs // 2, played + PARTICIPANTS * (PARTICIPANTS - 1) // 2
        same += {each.index for each in cheap[:2]} == {each.index for each in whole[:2]}
        top += cheap[0].index == whole[0].index
    share, size = same / prompts, f"{prompts} prompts, best of {PARTICIPANTS}"
    cost = asked / played
    return [Row(f"comparisons of the tournament against round robin, {size}", asked / prompts, played / prompts,
                0.4 / cost, "comparisons, at most 40 %", 1.0, cost <= 0.4),
            Row(f"prompts with round robin's two best, {size}", share, None, share / 0.95, "share, at least 0.95", 1.0,
                share >= 0.95),
            Row(f"prompts with round robin's best, {size}", top / prompts, None, top / prompts / 0.95,
                "share, at least 0.95", 1.0, top / prompts >= 0.95)]


class _Counted:
    """A comparer that counts the questions asked through it."""

    def __init__(self, comparer: PromptComparer) -> None:
        self._comparer, self.pairs = comparer, 0

    def __call__(self, references: Sequence[Frames], shown: Sequence[Frames]) -> NDArray[np.float32]:
        self.pairs += len(references)
        return self._comparer(references, shown)


def main() -> None:
    """Rows of both sizes; the real one takes a minute of one core."""
    args = arguments(__doc__ or "")
    torch.set_num_threads(1)
    scorer, template = model()
    rows = []
    for references, count in ((1, 16), (1, 64), (2, 64)):
        rows += prefix_rows(scorer, template, references, count, 5 if args.quick else 9)
    found = judge()
    if found:
        rows += tournament_rows(*found, 6 if args.quick else 30)
    notes = f"Template: `{template}`\n\nCommand: `python benchmarks/scoring.py`.\n"
    finish("scoring", rows, args, notes)


if __name__ == "__main__":
    main()
