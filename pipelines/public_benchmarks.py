"""Public preference benchmarks as recipes over importers: local files in, our accuracy beside published ones out.

A recipe (configs/public_benchmarks/NAME.yaml) names a format, what is asked and what others reached. Its votes go the
way of all votes: import, consensus, a dataset version whose every pair is in the split `test`, evaluation. Nothing is
fetched: where the files lie is an argument. As its peers do, a benchmark chooses the threshold for ties on itself.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.config import SOURCE_ROOT, explain
from pipelines.job import run_stage_config
from warehouse.errors import ConfigError, NotFoundError

RECIPES = SOURCE_ROOT / "configs" / "public_benchmarks"
INSTRUCTIONS = SOURCE_ROOT / "configs" / "instructions" / "default.yaml"


class Published(BaseModel):
    """What another system reached, in per cent, and who says so."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    system: str
    source: str
    with_ties: float | None = None
    without_ties: float | None = None


class Benchmark(BaseModel):
    """One recipe; `get` says where its files come from, `options` go to the importer."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    title: str
    format: str
    get: str
    task: str
    dimensions: tuple[str, ...] = Field(min_length=1)
    options: dict[str, Any] = Field(default_factory=dict)
    published: tuple[Published, ...] = ()


def names() -> list[str]:
    """Recipes that come with the software."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def read_benchmark(name: str) -> Benchmark:
    """The recipe of a name, or of a YAML file; raises NotFoundError or ConfigError."""
    path = Path(name) if name.endswith(".yaml") else RECIPES / f"{name}.yaml"
    if not path.is_file():
        raise NotFoundError(f"no benchmark {name!r}", hint=f"one of {', '.join(names())}, or a YAML file")
    try:
        return Benchmark.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise ConfigError(explain(error), where=str(path)) from error


def judge(name: str, path: Path, model: str, warehouse: str, instructions: Path = INSTRUCTIONS,
          limit: int = 0) -> dict[str, Any]:
    """Import, merge, build and evaluate; what the model reached beside what is published."""
    recipe, dataset = read_benchmark(name), f"bench-{Path(name).stem.replace('_', '-')}"
    if not path.exists():
        raise NotFoundError(f"no files at {path}", hint=f"get them: {recipe.get}")
    imported = run_stage_config("warehouse.importers.run:ImportConfig",
                                {"format": recipe.format, "path": path, **recipe.options}, warehouse)
    consensus = run_stage_config("annotation.consensus:ConsensusConfig",
                                 {"vote_sources": [imported.outputs["source"]], "method": "majority"}, warehouse)
    worded = run_stage_config("rm.instructions:InstructionConfig", {"file": instructions}, warehouse)
    built = run_stage_config("warehouse.datasets.build:BuildConfig", {
        "name": dataset, "consensus_ids": [consensus.outputs["consensus_id"]], "tasks": [recipe.task],
        "dimensions": recipe.dimensions, "instruction_version": worded.outputs["version"], "validation": 0.0,
        "test": 1.0, "ood_domains": [], "licences": _licences(warehouse)}, warehouse)
    found = run_stage_config("rm.evaluate:EvaluateConfig", {
        "model_id": model, "dataset": dataset, "version": built.outputs["version"], "splits": ["test"],
        "tie_split": "test", "limit": limit}, warehouse).outputs
    return {"benchmark": recipe.title, "model": model, "dataset": f"{dataset}@{built.outputs['version']}",
            "left_out": built.outputs["left_out"], "without_ties": found["accuracy"]["test"],
            "with_ties": found["accuracy_with_ties"]["test"], "flip_rate": found["flip_rate"],
            "published": [each.model_dump() for each in recipe.published]}


def _licences(warehouse: str) -> list[str]:
    """All there are: asking a model about pictures gives none of them away."""
    from warehouse import open_warehouse

    with open_warehouse(warehouse) as opened:
        return [str(row["licence_id"]) for row in opened.rows("SELECT licence_id FROM licences ORDER BY licence_id")]


def _rows(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """(system, without ties, with ties, source), ours first."""
    def interval(value: dict[str, Any]) -> str:
        if value["value"] is None:
            return "-"
        return "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * value[key] for key in ("value", "ci_low", "ci_high")))

    ours = (f"{found['model']} (ours)", interval(found["without_ties"]), interval(found["with_ties"]),
            f"measured on {found['without_ties']['n']} pairs without a tie, {found['with_ties']['n']} in all")
    theirs = [(each["system"], *("-" if each[key] is None else f"{each[key]:g}" for key in (
        "without_ties", "with_ties")), each["source"]) for each in found["published"]]
    return [ours, *theirs]


def markdown(found: dict[str, Any]) -> str:
    """The table for a terminal or a repository."""
    lines = [f"# {found['benchmark']}", "",
             "| system | accuracy %, ties left out | accuracy %, ties counted | source |", "|---|---|---|---|",
             *(f"| {' | '.join(row)} |" for row in _rows(found))]
    left_out = ", ".join(f"{reason} {count}" for reason, count in found["left_out"].items())
    return "\n".join([*lines, "", f"Left out: {left_out or 'nothing'}. Figures of others are as published: their "
                      "subsets and treatment of ties may differ from ours.", ""])


def write(found: dict[str, Any], out: Path) -> Path:
    """The page, Markdown and JSON in a folder; returns the page."""
    out.mkdir(parents=True, exist_ok=True)
    name = found["dataset"].partition("@")[0]
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}' for cell in row)}" for row in _rows(found))
    page = out / f"{name}.html"
    page.write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(found['benchmark'])}</title>"
        "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}"
        "td,th{text-align:left;padding:.3rem .7rem;border-bottom:1px solid #e4e7eb}tr:nth-child(2){font-weight:600}"
        f"</style><h1>{escape(found['benchmark'])}</h1><table><tr><th>system<th>accuracy %, ties left out"
        f"<th>accuracy %, ties counted<th>source{body}</table></html>\n", encoding="utf-8")
    page.with_suffix(".md").write_text(markdown(found), encoding="utf-8")
    page.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return page
