"""What a finished model can do, for its card: counted on draws that its training never made.

Generators: how often a sample shows exactly what its prompt names, by perception. Vision-language models: how often
the verdict on a prompt is right, for one picture, for one of two, and for clips, half renders and half samples.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from rm.families import load_family
from simulation.pretrain.pictures import draw_spec, see
from simulation.pretrain.vision_language import ChunkSource, base_sampler, draw_examples

_SEED = 1_000_000
_PROMPTS, _QUESTIONS, _BATCH = 192, 384, 64


def _generator(clips: bool) -> dict[str, float]:
    rng = np.random.default_rng(_SEED)
    specs = [draw_spec(clips, rng) for _ in range(_PROMPTS)]
    frames = base_sampler(clips)([spec.text() for spec in specs], _SEED)
    shown = [see(item).matches(spec) for item, spec in zip(frames, specs, strict=True)]
    return {"strict": round(float(np.mean(shown)), 3), "samples": len(shown)}


def _vision_language(folder: Path) -> dict[str, float]:
    family = load_family(folder)
    model = family.load_model(folder)
    source, found = ChunkSource(_SEED, base_sampler), {}
    for name, pictures, clips in (("match_one", 1, False), ("match_of_two", 2, False), ("match_clip", 2, True)):
        asked = draw_examples(source.at(0, clips), _QUESTIONS, pictures, clips, np.random.default_rng(_SEED))
        right = []
        for start in range(0, len(asked), _BATCH):
            part = asked[start:start + _BATCH]
            with torch.no_grad():
                yes = family.verdict.log_odds(family.verdict_logits(model, family.encode(part)))
            right += [(float(value) > 0) == str(example.answer).startswith("yes")
                      for value, example in zip(yes, part, strict=True)]
        found[name] = round(float(np.mean(right)), 3)
    return found | {"questions": _QUESTIONS}


def measure(name: str, folder: Path) -> dict[str, float]:
    """Metrics of the weights in `folder`, which for a generator must be the committed ones of that name."""
    if name.startswith("generator"):
        return _generator(clips=name == "generator_clip")
    return _vision_language(folder)
