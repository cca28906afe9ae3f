"""The simulated world's prompts as rows for the prompt stage, in an order fixed by hash.

`image_prompts(limit)` and `clip_prompts(limit)` are the plug-ins that a configuration names. A quarter of all prompts,
by hash, is held out: never voted on, never a prompt of RL; what is measured against gold is measured there. A third of
the grammar names something that only the OOD split shows; `ood_share` asks for fewer, since nobody learns from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from simulation.scenes import PromptSpec, clip_specs, image_specs
from warehouse.hashing import content_id


def _kind(spec: PromptSpec) -> str:
    if spec.motion:
        return "motion"
    if spec.relation:
        return "relation"
    group = spec.groups[0]
    return "count" if group.count > 1 else "size" if group.size else "single"


def is_held_out(spec: PromptSpec) -> bool:
    """True for the quarter of the prompts that nobody votes on."""
    return content_id("held-out prompt", spec.text())[0] in "0123"


def _take(
    specs: Iterable[PromptSpec], task: str, media_kind: str, limit: int, held_out: bool, ood_share: float
) -> list[dict[str, Any]]:
    """The first `limit` by hash, in turn from each kind of prompt so that every kind is there; 0 = all.

    At most `ood_share` of `limit` are out of distribution.
    """
    by_kind: dict[str, list[PromptSpec]] = {}
    for spec in sorted(specs, key=lambda item: content_id("simulated prompt", item.text())):
        if is_held_out(spec) == held_out:
            by_kind.setdefault(_kind(spec), []).append(spec)
    longest = max(len(group) for group in by_kind.values())
    turns = [group[index] for index in range(longest) for group in by_kind.values() if index < len(group)]
    if limit:
        ood = [spec for spec in turns if spec.domain == "ood"][: round(ood_share * limit)]
        turns = [spec for spec in turns if spec.domain == "id" or spec in ood]
    return [
        {
            "text": spec.text(),
            "task": task,
            "media_kind": media_kind,
            "source": "held_out" if held_out else "simulation",
            "source_item": spec.text(),
            "domain": spec.domain,
            "tags": {"kind": _kind(spec)},
        }
        for spec in turns[: limit or None]
    ]


def image_prompts(limit: int = 0, held_out: bool = False, ood_share: float = 1.0) -> list[dict[str, Any]]:
    """Prompt rows of the image world, of source `simulation` or `held_out`."""
    return _take(image_specs(), "t2i", "image", limit, held_out, ood_share)


def clip_prompts(limit: int = 0, held_out: bool = False, ood_share: float = 1.0) -> list[dict[str, Any]]:
    """Prompt rows of the clip world, of source `simulation` or `held_out`."""
    return _take(clip_specs(), "t2v", "video", limit, held_out, ood_share)
