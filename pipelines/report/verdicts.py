"""What the figures of a run show and do not show, as tiles and plain sentences. Computes nothing new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.results import number


@dataclass(frozen=True)
class Tile:
    """One headline figure; `tone` is good, bad or plain."""

    value: str
    what: str
    note: str
    tone: str = "plain"


def _interval_tile(item: Mapping[str, Any], what: str, level: float) -> Tile | None:
    """Good where the whole interval lies above `level`, bad where it lies below."""
    if item["value"] is None:
        return None
    tone = "good" if item["ci_low"] > level else "bad" if item["ci_high"] < level else "plain"
    return Tile(f"{100 * item['value']:.0f} %", what,
                f"{100 * item['ci_low']:.0f} to {100 * item['ci_high']:.0f} %, {item['n']} pairs", tone)


def _gain_tile(item: Mapping[str, Any], kind: str) -> Tile | None:
    if item["gold_before"] is None:
        return None
    tone = "good" if item["gain_ci_low"] > 0 else "bad" if item["gain_ci_high"] < 0 else "plain"
    note = f"gain {item['gain_ci_low']:+.3f} to {item['gain_ci_high']:+.3f}, {item['n_prompts']} unseen prompts"
    return Tile(f"{item['gold_before']:.2f} → {item['gold_after']:.2f}", f"gold of the {kind} generator", note, tone)


def tiles(summary: Mapping[str, Any]) -> list[Tile]:
    """The headline figures; what was not measured is left out."""
    reward, aligned = summary["rm"], summary["alignment"]
    found = [
        _interval_tile(reward["accuracy_id"], "reward model agrees with gold", 0.5),
        _interval_tile(reward["accuracy_ood"], "the same on unseen kinds of prompts", 0.5),
        _interval_tile(reward["accuracy_pretrained"], "the pretrained model alone", 0.5),
        _gain_tile(aligned["image"], "image"),
        _gain_tile(aligned["video"], "clip"),
    ]
    alpha = (summary["agreement"]["alpha"] or {}).get("overall")
    if alpha is not None:
        found.append(Tile(number(alpha), "agreement of the raters", "Krippendorff's alpha, overall"))
    return [tile for tile in found if tile is not None]


def _size(item: Mapping[str, Any]) -> str:
    """How large a gain is beside what the eye sees: half the spread of the taste, or ten points of strict success."""
    if not item["gold_sd"]:
        return ""
    spreads, points = item["gain"] / item["gold_sd"], 100 * (item["strict_after"] - item["strict_before"])
    seen = "" if spreads >= 0.5 or points >= 10 else ", less than the eye sees at once"
    return (f" That is {spreads:+.2f} standard deviations of gold between samples{seen}; pictures that show exactly "
            f"what the prompt names: {points:+.0f} points.")


def _gain_sentence(item: Mapping[str, Any], kind: str) -> str | None:
    if item["gold_before"] is None:
        return None
    low, high = item["gain_ci_low"], item["gain_ci_high"]
    proxy = f"The reward model's own score went from {number(item['proxy_before'])} to {number(item['proxy_after'])}"
    if low > 0:
        rose = f"{proxy}, and gold of the {kind} generator rose with it: the gain's interval lies above zero."
        return rose + _size(item)
    if high < 0:
        hacked = ": the reward was hacked" if item["proxy_after"] > item["proxy_before"] else ""
        return f"{proxy}, while gold of the {kind} generator fell{hacked}."
    return f"{proxy}; whether gold of the {kind} generator changed cannot be told: the gain's interval includes zero."


def loop_steps(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(count, noun) of each station of the loop; what a run has not done is left out."""
    counts, samples = summary["counts"], summary["dataset"]["samples"] or {}
    aligned = sum(value["gold_after"] is not None for value in summary["alignment"].values())
    trained = int(bool(summary["shown"]["reward_model"]))
    stations = [(counts["prompts"], "prompts"), (counts["candidates"]["images"], "images"),
                (counts["candidates"]["clips"], "clips"), (counts["pairs"], "pairs"), (counts["votes"], "votes"),
                (sum(samples.values()), "dataset samples"), (trained, "reward model"),
                (aligned, "aligned generators" if aligned > 1 else "aligned generator")]
    return [(f"{count:,}".replace(",", "\u202f"), noun) for count, noun in stations if count]


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """One sentence a finding, in the order of the loop."""
    found: list[str | None] = []
    gain = summary["rm"]["gain_over_pretrained"]
    if gain["value"] is not None:
        verdict = "votes taught it something" if gain["ci_low"] > 0 else "that cannot be told from chance"
        found.append(f"Fine-tuning on votes moved agreement with gold by {100 * gain['value']:+.1f} points over the "
                     f"pretrained model ({100 * gain['ci_low']:+.1f} to {100 * gain['ci_high']:+.1f}): {verdict}.")
    found += [_gain_sentence(summary["alignment"][kind], {"image": "image", "video": "clip"}[kind])
              for kind in ("image", "video")]
    shuffled = summary["placebo"]["shuffled_votes"]
    if shuffled["accuracy_taste"] is not None:
        found.append(f"With shuffled votes the same pipeline agrees with the taste in "
                     f"{100 * shuffled['accuracy_taste']:.0f} % of pairs and moves gold by "
                     f"{number(shuffled['gold_gain'])}.")
    return [sentence for sentence in found if sentence]
