"""Does alignment raise gold? The demo's loop over three seeds and both populations, with an interval over seeds.

Seeds change the votes, the reward model's training and the alignment; prompts, candidates and held-out noise stay, so
that a gain is a difference on the same noise. Also writes results/two_tastes.html: the same prompts and noise before
alignment and after it for each population.
"""

from __future__ import annotations

import base64
import io
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import stats

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks._reporting import RESULTS, Row, arguments, finish  # noqa: E402
from pipelines.config import RunConfig, load_config  # noqa: E402
from pipelines.run import run  # noqa: E402
from warehouse import Warehouse, open_warehouse  # noqa: E402
from warehouse.hashing import content_id  # noqa: E402

TASTES = ("large_warm", "small_cool")
_DROPPED = ("shuffled", "pretrained", "clip", "held_out_clip", "images_search", "search", "gate", "evaluation")
_SHOWN = """
SELECT p.text, p.prompt_id, min_by(b.media_id, b.seed) AS before, min_by(a.media_id, b.seed) AS after
FROM candidates b JOIN candidates a USING (prompt_id, seed) JOIN prompts p USING (prompt_id)
WHERE b.generator_id = ? AND a.generator_id = ? AND p.source = 'held_out' GROUP BY ALL"""


def seeded(config: RunConfig, seed: int) -> RunConfig:
    """The image half of the demo without placebos, with `seed` in votes, reward model and alignment."""
    stages = []
    for entry in config.stages:
        if entry.name.startswith(_DROPPED):
            continue
        options: dict[str, Any] = dict(entry.options)
        if entry.name == "image_votes":
            options["backend_options"] = options["backend_options"] | {"seed": seed}
        elif entry.name in ("reward_model", "image_alignment"):
            options["seed"] = seed
        elif entry.name == "consensus":
            options["campaign_ids"] = ["${image_votes.campaign_id}"]
        stages.append(entry.model_copy(update={"options": options}))
    return RunConfig.model_validate({**config.model_dump(), "stages": [stage.model_dump() for stage in stages],
                                     "show": {"alignments": config.model_dump()["show"]["alignments"][:1]},
                                     "report": False})


def _row(taste: str, before: list[float], after: list[float]) -> Row:
    """Gold after alignment, at the lower end of the t interval of its gain over seeds, against gold before."""
    gains = np.subtract(after, before)
    half = float(stats.sem(gains) * stats.t.ppf(0.975, len(gains) - 1)) if len(gains) > 1 else 0.0
    ours, peer = float(np.mean(after)) - half, float(np.mean(before))
    return Row(f"gold after, lower end, {taste}, {len(gains)} seeds", ours, peer, ours / peer, "gold", 1.0, ours > peer)


def _picture(warehouse: Warehouse, media_id: str) -> str:
    picture = Image.open(io.BytesIO(warehouse.media.get(media_id))).resize((96, 96), Image.Resampling.NEAREST)
    target = io.BytesIO()
    picture.save(target, "PNG")
    return f'<img width=96 height=96 src="data:image/png;base64,{base64.b64encode(target.getvalue()).decode()}">'


def _shown(out: Path, before: str, after: str) -> dict[str, tuple[str, str, str]]:
    with open_warehouse(str(out / "warehouse")) as warehouse:
        rows = warehouse.rows(_SHOWN, [before, after])
        rows.sort(key=lambda row: content_id("report gallery", row["prompt_id"]))
        return {row["prompt_id"]: (row["text"], _picture(warehouse, row["before"]), _picture(warehouse, row["after"]))
                for row in rows[:24]}


def two_tastes(shown: dict[str, dict[str, tuple[str, str, str]]]) -> str:
    """One table: prompt, before, after for each population."""
    first = next(iter(shown.values()))
    head = "".join(f"<th>{name}</th>" for name in ("prompt", "before", *shown))
    body = "".join(f"<tr><td>{text}</td><td>{before}</td>"
                   + "".join(f"<td>{side[key][2]}</td>" for side in shown.values()) + "</tr>"
                   for key, (text, before, _) in first.items())
    style = ("body{font:15px system-ui;margin:2rem auto;max-width:720px}img{image-rendering:pixelated;display:block}"
             "td,th{padding:6px 12px;text-align:left}")
    about = ("Simulation. The same prompt and noise before alignment, and after alignment to the votes of two "
             "populations with opposite tastes.")
    return (f"<!doctype html><meta charset=utf-8><title>Two tastes</title><style>{style}</style>"
            f"<h1>Two populations, one generator</h1><p>{about}</p><table><tr>{head}</tr>{body}</table>")


def main() -> None:
    """Three seeds and two populations; `--quick` one seed of the quick demo for one population."""
    args = arguments(__doc__ or "")
    config = load_config(ROOT / "configs" / ("demo_quick.yaml" if args.quick else "demo.yaml"))
    rows, shown, notes = [], {}, []
    first: Path | None = None
    for taste in TASTES[:1] if args.quick else TASTES:
        golds: list[tuple[float, float]] = []
        for seed in range(1 if args.quick else 3):
            out = ROOT / "runs" / "benchmark_alignment" / f"{taste}_{seed}"
            shutil.rmtree(out, ignore_errors=True)
            if first is None:
                first = out
            else:
                # Prompts, candidates and their receipts are the same for every population and seed.
                shutil.copytree(first, out)
            summary = run(seeded(config.model_copy(update={"taste": taste}), seed), out)
            image, accuracy = summary["alignment"]["image"], summary["rm"]["accuracy_id"]
            golds.append((image["gold_before"], image["gold_after"]))
            notes.append(f"- {taste}, seed {seed}: gold {image['gold_before']:.3f} -> {image['gold_after']:.3f}, "
                         f"strict {image['strict_before']:.3f} -> {image['strict_after']:.3f}, "
                         f"reward model {accuracy['value']:.3f}")
            if seed == 0:
                aligned = summary["shown"]["alignments"][0]
                shown[taste] = _shown(out, aligned["before"], aligned["after"])
        before, after = zip(*golds, strict=True)
        rows.append(_row(taste, list(before), list(after)))
    finish("alignment", rows, args, "\n".join(notes) + "\n")
    if not args.quick:
        (RESULTS / "two_tastes.html").write_text(two_tastes(shown), encoding="utf-8")


if __name__ == "__main__":
    main()
