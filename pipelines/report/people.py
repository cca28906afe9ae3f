"""What people (or simulated annotators) said: pairs with their votes, agreement, raters. Reads the warehouse only."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pipelines.report.inline import Picture, stored
from pipelines.report.plots import bars, intervals
from warehouse import Warehouse
from warehouse.hashing import content_id
from warehouse.records import ADVERSARIAL

LABELS = ("a", "tie", "both_bad", "b")


@dataclass(frozen=True)
class DimensionVotes:
    """Votes of one pair and dimension by label, and what consensus made of them."""

    dimension: str
    counts: dict[str, int]
    p_a: float | None


@dataclass(frozen=True)
class VotedPair:
    """A pair as its raters saw it, with everything that they said."""

    prompt: str
    a: Picture
    b: Picture
    votes: list[DimensionVotes]
    rationales: list[str] = field(default_factory=list)


def _listed(column: str, values: tuple[str, ...]) -> tuple[str, list[str]]:
    """SQL condition and parameters for `column` among `values`; no condition where there are none."""
    if not values:
        return "true", []
    return f"{column} IN ({', '.join('?' * len(values))})", list(values)


def voted_pairs(
    warehouse: Warehouse, campaigns: tuple[str, ...], consensus: tuple[str, ...], limit: int = 6
) -> list[VotedPair]:
    """Pairs chosen by hash among those with bytes on both sides: `limit` of images, over half as many of clips."""
    condition, parameters = _listed("t.campaign_id", campaigns)
    rows = warehouse.rows(
        "SELECT v.pair_id, any_value(p.text) AS prompt, any_value(m.kind) AS kind, any_value(a.media_id) AS a, "
        "any_value(b.media_id) AS b FROM votes v LEFT JOIN annotation_tasks t USING (task_id) "
        "JOIN pairs r ON r.pair_id = v.pair_id JOIN prompts p ON p.prompt_id = r.prompt_id "
        "JOIN candidates a ON a.candidate_id = r.candidate_a JOIN candidates b ON b.candidate_id = r.candidate_b "
        "JOIN media m ON m.media_id = a.media_id "
        f"WHERE b.media_id IS NOT NULL AND NOT coalesce(v.deleted, false) AND {condition} GROUP BY 1", parameters)
    rows.sort(key=lambda row: content_id("report pair", row["pair_id"]))
    shown: list[VotedPair] = []
    for kind in ("image", "video"):
        chosen = [row for row in rows if row["kind"] == kind][: limit if kind == "image" else limit // 2 + 1]
        shown += [pair for row in chosen if (pair := _pair(warehouse, row, campaigns, consensus)) is not None]
    return shown


def _pair(
    warehouse: Warehouse, row: dict[str, Any], campaigns: tuple[str, ...], consensus: tuple[str, ...]
) -> VotedPair | None:
    a, b = stored(warehouse, row["a"]), stored(warehouse, row["b"])
    if a is None or b is None:
        return None
    condition, parameters = _listed("t.campaign_id", campaigns)
    votes = warehouse.rows(
        "SELECT v.dimension, v.label, v.rationale_id, count(*) AS n FROM votes v LEFT JOIN annotation_tasks t "
        f"USING (task_id) WHERE v.pair_id = ? AND NOT coalesce(v.deleted, false) AND {condition} "
        "GROUP BY ALL ORDER BY ALL", [row["pair_id"], *parameters])
    condition, parameters = _listed("consensus_id", consensus)
    agreed = {item["dimension"]: item["p_a"] for item in warehouse.rows(
        f"SELECT dimension, p_a FROM preferences WHERE pair_id = ? AND {condition}", [row["pair_id"], *parameters])}
    counts: dict[str, dict[str, int]] = {}
    for vote in votes:
        line = counts.setdefault(vote["dimension"], dict.fromkeys(LABELS, 0))
        line[vote["label"]] += vote["n"]
    said = {vote["rationale_id"] for vote in votes if vote["rationale_id"]}
    texts = [item["text"] for item in warehouse.rows(
        "SELECT rationale_id, text FROM rationales WHERE pair_id = ? ORDER BY ALL", [row["pair_id"]])
        if item["rationale_id"] in said]
    return VotedPair(row["prompt"], a, b, [DimensionVotes(name, line, agreed.get(name))
                                           for name, line in counts.items()], list(dict.fromkeys(texts))[:3])


@dataclass(frozen=True)
class Agreement:
    """What one consensus run says of its votes: alpha (dimension, value, interval), and plots of it and the raters."""

    title: str
    method: str
    n_votes: int
    n_pairs: int
    alpha: list[tuple[str, str, str]]
    raters: str
    excluded: int
    alpha_svg: str
    raters_svg: str


def agreement(warehouse: Warehouse, consensus: tuple[str, ...]) -> list[Agreement]:
    """One entry a consensus run, in the order asked for; adversarial pairs have no raters who could agree."""
    condition, parameters = _listed("consensus_id", consensus)
    rows = warehouse.rows(f"SELECT * FROM consensus_runs WHERE {condition} AND method <> ? ORDER BY consensus_id",
                          [*parameters, ADVERSARIAL])
    if consensus:
        rows.sort(key=lambda row: consensus.index(row["consensus_id"]))
    return [_agreement(warehouse, row) for row in rows]


def _agreement(warehouse: Warehouse, row: dict[str, Any]) -> Agreement:
    parameters = json.loads(row["params_json"])
    named, of = _listed("campaign_id", tuple(parameters.get("campaign_ids", ())))
    campaigns = warehouse.rows(f"SELECT name FROM campaigns WHERE {named} ORDER BY name", of) if of else []
    sources = [item["name"] for item in campaigns] + list(parameters.get("vote_sources", ()))
    raters = json.loads(row["raters_json"])
    agreeing = sorted(((name, rater["agreement"]) for name, rater in raters.items() if rater["agreement"] is not None),
                      key=lambda item: -item[1])
    excluded = {name[:4] for name, rater in raters.items() if rater["excluded"]}
    parts = sorted(json.loads(row["agreement_json"]).items())
    return Agreement(
        title=", ".join(sources).replace("_", " "),
        method=row["method"],
        n_votes=row["n_votes"],
        n_pairs=row["n_pairs"],
        alpha=[_alpha(name, part) for name, part in parts],
        raters=f"{len(raters)} raters, {len(excluded)} left out",
        excluded=len(excluded),
        alpha_svg=intervals([(name.replace("_", " "), part["alpha"], *part["ci"]) for name, part in parts
                             if part["alpha"] is not None and part.get("ci")], "Krippendorff's alpha", 0.0),
        raters_svg=bars({name[:4]: value for name, value in agreeing}, "agreement with the rest", marked=excluded),
    )


def _alpha(dimension: str, part: dict[str, Any]) -> tuple[str, str, str]:
    interval = part.get("ci")
    value = "too few votes" if part["alpha"] is None else f"{part['alpha']:.3f}"
    return dimension.replace("_", " "), value, f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else ""
