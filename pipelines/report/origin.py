"""Where things came from: the chain from one reward to the people behind it, reference ranks, receipts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.report.inline import Picture, stored
from warehouse import Warehouse
from warehouse.hashing import content_id
from warehouse.lineage import Node, sources

_VOTES_SHOWN = 5
# Kinds of the chain in its order, with the words that the page has for them.
_CHAIN = {"reward": "reward", "model": "given by", "dataset": "trained on", "shard": "shard", "sample": "sample",
          "instruction": "instruction", "preference": "consensus", "vote": "votes", "rationale": "rationale",
          "annotator": "rater", "pair": "pair shown", "prompt": "prompt", "generator": "generator"}
_LEARNED_FROM = """
SELECT s.sample_key, h.uri, h.shard, h.samples FROM samples s
JOIN models m ON m.dataset_name = s.name AND m.dataset_version = s.version
JOIN shards h ON h.name = s.name AND h.version = s.version AND h.shard = s.shard
JOIN rewards r ON r.model_id = m.model_id AND r.dimension = s.dimension
WHERE r.reward_id = ? AND s.split = 'train' ORDER BY s.rationale_id IS NULL, s.sample_key LIMIT 1
"""
_RANKS = """
SELECT p.prompt_id, p.text AS prompt, c.media_id, r.wins, r.comparisons FROM reference_ranks r
JOIN candidates c USING (candidate_id) JOIN prompts p ON p.prompt_id = r.prompt_id WHERE r.model_id = ? ORDER BY r.rank
"""


@dataclass(frozen=True)
class Step:
    """One record of a lineage: what it is in words, its id, and its pictures."""

    kind: str
    text: str
    id: str
    pictures: list[Picture] = field(default_factory=list)


@dataclass(frozen=True)
class Ranked:
    """The candidates of one prompt in the order of a best-of-N tournament, best first: (picture, wins, comparisons)."""

    prompt: str
    pictures: list[tuple[Picture, float, int]]


def _words(kind: str, facts: Mapping[str, Any]) -> str:
    """One record in words."""
    texts = {
        "reward": lambda: f'P("yes") = {facts["value"]:.3f} that the first beats the second, {facts["dimension"]}',
        "model": lambda: f"{facts['kind']} {facts['name']}".replace("_", " "),
        "dataset": lambda: f"{facts['name']}, version {facts['version']}",
        "shard": lambda: f"{facts['shard']}, {facts['samples']} samples",
        "sample": lambda: f"{facts['dimension']}, split {facts['split']}".replace("_", " "),
        "instruction": lambda: str(facts["template"]),
        "preference": lambda: f"p(a beats b) = {facts['p_a']:.3f} from {facts['n_votes']} votes",
        "vote": lambda: str(facts["label"]).replace("_", " "),
        "rationale": lambda: f"“{facts['text']}”",
        "annotator": lambda: str(facts["pseudonym"]),
        "pair": lambda: f"chosen by {facts['strategy']}".replace("_", " "),
        "prompt": lambda: str(facts["text"]),
        "generator": lambda: str(facts["name"]),
    }
    return texts[kind]()


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _all(child)


def _pictures(warehouse: Warehouse, node: Node) -> list[Picture]:
    """The pictures of the two candidates of a pair or a reward; none for other kinds."""
    if node.kind not in {"pair", "reward"}:
        return []
    media = [part.id for child in node.children for part in child.children if part.kind == "media"]
    return [picture for media_id in media if (picture := stored(warehouse, media_id, 96)) is not None]


def _nodes(warehouse: Warehouse, reward_id: str) -> Iterator[Node]:
    """The reward, its model and dataset, a shard and a sample of the same dimension that the model learned from, and
    all that is behind that."""
    yield from (node for node in _all(sources(warehouse, reward_id, limit=1))
                if node.kind in {"reward", "model", "dataset"})
    for row in warehouse.rows(_LEARNED_FROM, [reward_id]):
        yield Node("shard", row["uri"], row)
        yield from _all(sources(warehouse, row["sample_key"], limit=_VOTES_SHOWN))


def lineage(warehouse: Warehouse, reward_model: str) -> list[Step]:
    """From one reward of `reward_model` over a sample, with a rationale if any has one, to its votes; else nothing."""
    rows = warehouse.rows("SELECT reward_id FROM rewards WHERE model_id = ? ORDER BY reward_id LIMIT 1", [reward_model])
    if not rows:
        return []
    by_kind: dict[str, dict[str, Node]] = {}
    for node in _nodes(warehouse, rows[0]["reward_id"]):
        by_kind.setdefault(node.kind, {}).setdefault(node.id, node)
    steps = []
    for kind in (name for name in _CHAIN if name in by_kind):
        nodes = list(by_kind[kind].values())
        shown = nodes if kind == "vote" else nodes[:1]
        text = ", ".join(_words(kind, node.facts) for node in shown)
        steps.append(Step(_CHAIN[kind], text, shown[0].id, _pictures(warehouse, shown[0])))
    return steps


def reference_ranks(warehouse: Warehouse, reward_model: str, limit: int = 3) -> list[Ranked]:
    """Tournaments of `reward_model`, prompts chosen by hash; what came first served as reference during RL."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in warehouse.rows(_RANKS, [reward_model]):
        groups.setdefault(row["prompt_id"], []).append(row)
    chosen = sorted(groups, key=lambda key: content_id("report ranks", key))[:limit]
    return [Ranked(groups[key][0]["prompt"], [(picture, row["wins"], row["comparisons"]) for row in groups[key]
                                              if (picture := stored(warehouse, row["media_id"], 64)) is not None])
            for key in chosen]


def receipts(warehouse: Warehouse) -> list[dict[str, Any]]:
    """All runs: stage, seconds, counts and rejects."""
    rows = warehouse.rows("SELECT stage, run_id, seconds, counts_json, rejected_json FROM runs "
                          "ORDER BY finished_at, stage")
    return [{"stage": row["stage"], "run_id": row["run_id"], "seconds": row["seconds"] or 0.0,
             "counts": json.loads(row["counts_json"] or "{}"), "rejected": json.loads(row["rejected_json"] or "{}")}
            for row in rows]
