"""What each section of the page shows, read from the warehouse by plain queries. Writes nothing."""

from __future__ import annotations

import json
from typing import Any

from pipelines.report.inline import stored_uri
from pipelines.report.plots import curves_svg
from warehouse import Warehouse
from warehouse.hashing import content_id

_PAIRS = """
SELECT v.pair_id, any_value(p.text) AS prompt, any_value(a.media_id) AS media_a, any_value(b.media_id) AS media_b
FROM votes v JOIN pairs r USING (pair_id) JOIN prompts p ON p.prompt_id = r.prompt_id
JOIN candidates a ON a.candidate_id = r.candidate_a JOIN candidates b ON b.candidate_id = r.candidate_b
WHERE a.media_id IS NOT NULL AND b.media_id IS NOT NULL AND NOT coalesce(v.deleted, false) GROUP BY 1 ORDER BY 1
"""
_VOTES = """
SELECT v.dimension, v.label, count(*) AS n FROM votes v
WHERE v.pair_id = ? AND NOT coalesce(v.deleted, false) GROUP BY 1, 2 ORDER BY 1, 2
"""
_GALLERY = """
SELECT p.text AS prompt, p.prompt_id, c.seed, c.media_id AS before, d.media_id AS after
FROM candidates c JOIN generators g ON g.generator_id = c.generator_id
JOIN generators h ON h.parent_id = g.generator_id
JOIN candidates d ON d.generator_id = h.generator_id AND d.prompt_id = c.prompt_id AND d.seed = c.seed
JOIN prompts p ON p.prompt_id = c.prompt_id WHERE p.media_kind = ?
ORDER BY p.prompt_id, c.seed, h.generator_id
"""


def real_media(warehouse: Warehouse, limit: int = 12) -> list[dict[str, str]]:
    """Pictures and clips of a run on real media, each with its prompt."""
    rows = warehouse.rows("SELECT DISTINCT c.media_id, p.text AS prompt, c.source FROM candidates c JOIN prompts p "
                          "USING (prompt_id) WHERE c.media_id IS NOT NULL ORDER BY 1")
    shown = [{"prompt": row["prompt"], "source": row["source"], "uri": stored_uri(warehouse, row["media_id"])}
             for row in rows[:limit]]
    return [item for item in shown if item["uri"]]


def voted_pairs(warehouse: Warehouse, limit: int = 8) -> list[dict[str, Any]]:
    """Pairs chosen by hash, with their votes counted per dimension and the rationales given."""
    chosen = sorted(warehouse.rows(_PAIRS), key=lambda row: content_id("report", row["pair_id"]))[:limit]
    return [_pair(warehouse, row) for row in chosen]


def _pair(warehouse: Warehouse, row: dict[str, Any]) -> dict[str, Any]:
    votes: dict[str, dict[str, int]] = {}
    for vote in warehouse.rows(_VOTES, [row["pair_id"]]):
        votes.setdefault(vote["dimension"], {})[vote["label"]] = vote["n"]
    texts = warehouse.rows("SELECT DISTINCT text FROM rationales WHERE pair_id = ? ORDER BY 1", [row["pair_id"]])
    return {"prompt": row["prompt"], "a": stored_uri(warehouse, row["media_a"]),
            "b": stored_uri(warehouse, row["media_b"]), "votes": votes, "rationales": [item["text"] for item in texts]}


def gallery(warehouse: Warehouse, media_kind: str, limit: int = 24) -> list[dict[str, str]]:
    """Before and after with the same noise: prompts chosen by hash, one seed each."""
    first = {row["prompt_id"]: row for row in reversed(warehouse.rows(_GALLERY, [media_kind]))}
    chosen = sorted(first.values(), key=lambda row: content_id("gallery", row["prompt_id"]))[:limit]
    return [{"prompt": row["prompt"], "before": stored_uri(warehouse, row["before"]),
             "after": stored_uri(warehouse, row["after"])} for row in chosen]


def curves(warehouse: Warehouse) -> list[dict[str, str]]:
    """One plot a training run and group of metrics: losses, proxy against gold, spread, the rest."""
    rows = warehouse.rows("SELECT run_key, name, step, value FROM metrics ORDER BY run_key, name, step")
    runs: dict[str, dict[str, dict[str, list[tuple[float, float]]]]] = {}
    for row in rows:
        group = runs.setdefault(row["run_key"], {}).setdefault(_group(row["name"]), {})
        group.setdefault(row["name"], []).append((row["step"], row["value"]))
    plots = [{"title": f"{run}: {group}", "svg": curves_svg(lines, "step", group)}
             for run, groups in runs.items() for group, lines in groups.items()]
    return [plot for plot in plots if plot["svg"]]


def _group(name: str) -> str:
    """Proxy and gold share a plot: their parting is what a reader looks for."""
    for group, words in {"proxy and gold": ("gold", "proxy", "p_yes", "reward"), "spread": ("spread",),
                         "accuracy": ("accuracy",), "loss": ("loss",)}.items():
        if any(word in name for word in words):
            return group
    return name


def lineage(warehouse: Warehouse) -> list[dict[str, str]]:
    """From one model back to single votes and their annotators, a step a row; empty without a dataset."""
    samples = warehouse.rows("SELECT name, version, sample_key, shard, pair_id, dimension, p_a FROM samples "
                             "ORDER BY sample_key LIMIT 1")
    if not samples:
        return []
    sample = samples[0]
    models = warehouse.rows("SELECT kind, name, model_id FROM models WHERE dataset_name = ? ORDER BY name",
                            [sample["name"]])
    votes = warehouse.rows("SELECT vote_id, annotator_id, label FROM votes WHERE pair_id = ? AND dimension = ? "
                           "ORDER BY 1", [sample["pair_id"], sample["dimension"]])
    steps = [{"what": f"model ({row['kind']}) {row['name']}", "id": row["model_id"]} for row in models]
    steps.append({"what": f"dataset {sample['name']}@{sample['version']}, shard {sample['shard']}",
                  "id": sample["sample_key"]})
    steps.append({"what": f"consensus on {sample['dimension']}: p(a beats b) = {sample['p_a']:.3f}",
                  "id": sample["pair_id"]})
    return steps + [{"what": f"vote {row['label']} by {row['annotator_id']}", "id": row["vote_id"]} for row in votes]


def receipts(warehouse: Warehouse) -> list[dict[str, Any]]:
    """All runs: stage, seconds, counts and rejects."""
    rows = warehouse.rows("SELECT stage, run_id, seconds, counts_json, rejected_json FROM runs "
                          "ORDER BY finished_at, stage")
    return [{"stage": row["stage"], "run_id": row["run_id"], "seconds": row["seconds"] or 0.0,
             "counts": json.loads(row["counts_json"] or "{}"), "rejected": json.loads(row["rejected_json"] or "{}")}
            for row in rows]
