"""A reward model as a folder for others: merged safetensors, a model card, and a scorer in one file.

The folder is a checkpoint that transformers loads; scorer.py needs torch, transformers and Pillow and nothing
of this project (tests compare its scores with ours, and run it where nothing else is installed), README.md says what it
learned from and how it was judged.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from rm import standalone_scorer
from rm.families import load_family
from rm.model_folder import ModelCard, find_model, read_card
from rm.promotion import gate_verdict
from rm.shots import SHOTS_FILE
from warehouse import Warehouse
from warehouse.errors import ConfigError, ConflictError

_LEFT = ("curve.json",)


def export(warehouse: Warehouse, model: str, target: Path) -> ModelCard:
    """Write the folder whole or not at all; raises NotFoundError, or ConflictError where the folder is not empty."""
    folder = find_model(warehouse, model)
    card = read_card(folder)
    if card.form != "pairwise":
        raise ConfigError(f"a {card.form} model cannot be exported", hint="the stand-alone scorer asks pairs")
    if card.rationale == "reason_first" or card.references or (folder / SHOTS_FILE).is_file():
        raise ConfigError("the stand-alone scorer asks with one reference, the verdict first and no worked examples",
                          where=card.model_id, hint="export a model trained so")
    if target.exists() and any(target.iterdir()):
        raise ConflictError("the folder is not empty", where=str(target), hint="choose another folder")
    part = target.with_name(f".part-{target.name}")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(folder, part, ignore=shutil.ignore_patterns(*_LEFT))
    shutil.copyfile(standalone_scorer.__file__, part / "scorer.py")
    (part / "scorer.json").write_text(json.dumps(load_family(folder).facts(), indent=2) + "\n", encoding="utf-8")
    (part / "rm.json").write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (part / "README.md").write_text(model_card(warehouse, card), encoding="utf-8")
    if target.exists():
        target.rmdir()
    os.replace(part, target)
    return card


def model_card(warehouse: Warehouse, card: ModelCard) -> str:
    """The card in Markdown, with a hub's front matter."""
    accuracy = warehouse.rows("SELECT dataset, slice, value, n, ci_low, ci_high FROM evaluations "
                              "WHERE model_id = ? AND metric = 'accuracy' ORDER BY dataset, slice", [card.model_id])
    verdict = {True: "passed", False: "failed", None: "not run"}[gate_verdict(warehouse, card.model_id)]
    tasks = [f"{task}: {', '.join(sorted(asked))}" for task, asked in sorted(card.instructions.items())]
    return "\n".join([
        "---", "library_name: transformers", "tags: [reward-model, rewarddance]", "---", "",
        f"# {card.name or card.model_id}", "",
        'Generative reward model after RewardDance (arXiv 2509.08826): reward = P("yes") that a candidate beats a '
        "reference.", "",
        f"- model id: `{card.model_id}`, base: `{card.base_id}`",
        f"- learned from: {card.dataset}@{card.version}, content hash `{card.dataset_hash}`",
        f"- asked: {'; '.join(tasks)}", f"- attack gate: **{verdict}**",
        f"- code {card.code_version}, config `{json.dumps(card.config, sort_keys=True)}`", "",
        "## Agreement with people", "", *_table(accuracy), "",
        "## Use", "", "```python", "from scorer import Scorer   # needs torch, transformers and Pillow only",
        'Scorer("this folder").score("a prompt", "reference.png", ["candidate.png"])', "```", "",
        "It judges what it was asked above, by the taste of the people who voted for that dataset; elsewhere its "
        "scores mean little. Watch for reward hacking when training against it.", ""])


def _table(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return ["Not evaluated."]
    lines = [f"| {row['dataset']} | {row['slice']} | {row['value']:.3f} | {row['ci_low']:.3f}-{row['ci_high']:.3f} "
             f"| {row['n']} |" for row in rows if row["n"]]
    return ["| dataset | part | accuracy | 95 % interval | pairs |", "|---|---|---|---|---|", *lines]
