"""The card of a version, in Markdown: what is in it, where it comes from, how far raters agreed, how to load it.

Its front matter names one configuration per group of shards, so `datasets.load_dataset(FOLDER, GROUP)` finds them.
No date and no run id stands in it: the same version has the same card. Left out on purpose: near-duplicate media.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping

from warehouse.datasets.query import Snapshot
from warehouse.datasets.recipe import SPLITS, BuildConfig
from warehouse.datasets.select import Chosen, Outline
from warehouse.shards.writer import Shard

_WORD = re.compile(r"\w+")
_COUNTED = ("task", "dimension", "source", "domain")


class Tally:
    """Counts over the samples of a version, and what its splits share."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._media: dict[str, int] = defaultdict(int)
        self._prompts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, chosen: Chosen) -> None:
        """Count one sample."""
        facts, bit = chosen.facts, 1 << SPLITS.index(chosen.split)
        for name in _COUNTED:
            self.counts[name][facts[name] or "unstated"] += 1
        for side in ("generator_name_a", "generator_name_b"):
            self.counts["generator"][facts[side] or "unstated"] += 1
        for licence in facts["licences"].split() or ["unstated"]:
            self.counts["licence"][licence] += 1
        self.counts["rationale"][facts["rationale_author_kind"] or "none"] += 1
        for member in chosen.media:
            self._media[member.media_id] |= bit
        words = " ".join(sorted(set(_WORD.findall(chosen.canonical))))
        self._prompts[words][chosen.canonical] |= bit

    def shared_media(self) -> int:
        """Media files that stand in more than one split."""
        return sum(_several(bits) for bits in self._media.values())

    def shared_prompts(self) -> int:
        """Prompts that stand in more than one split."""
        return sum(_several(bits) for texts in self._prompts.values() for bits in texts.values())

    def near_prompts(self) -> int:
        """Groups of prompts that use the same words and stand in different splits."""
        groups = (list(texts.values()) for texts in self._prompts.values() if len(texts) > 1)
        return sum(len(set(bits)) > 1 for bits in groups)


def _several(bits: int) -> bool:
    return bits & (bits - 1) != 0


def _table(title: str, column: str, counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"## {title}", "", f"| {column} | n |", "|---|---|", *(f"| {_cell(key)} | {n} |" for key, n in ordered)]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _front_matter(shards: Mapping[str, list[Shard]]) -> str:
    groups: dict[str, list[str]] = defaultdict(list)
    for split, written in shards.items():
        for group in sorted({shard.name.rpartition("-")[0] for shard in written}):
            groups[group].append(split)
    lines = ["---", "configs:"]
    for group, splits in sorted(groups.items()):
        lines += [f"- config_name: {group}", "  data_files:"]
        for split in splits:
            lines += [f"  - split: {split}", f"    path: {split}/{group}-*.tar"]
    return "\n".join([*lines, "---", ""])


def _votes(snapshot: Snapshot) -> Counter[str]:
    rows = snapshot.rows(
        "SELECT coalesce(a.kind, 'unknown') AS kind, count(*) AS n FROM @votes v"
        " LEFT JOIN @annotators a ON a.annotator_id = v.annotator_id"
        " LEFT JOIN @annotation_tasks k ON k.task_id = v.task_id"
        " SEMI JOIN (SELECT pair_id, dimension FROM @preferences f WHERE list_contains(?::VARCHAR[], consensus_id)) f"
        " ON f.pair_id = v.pair_id AND f.dimension = v.dimension"
        f" WHERE NOT coalesce(v.deleted, false) AND {snapshot.asked} GROUP BY 1",
        [list(snapshot.config.consensus_ids)],
    )
    return Counter({row["kind"]: row["n"] for row in rows})


def _agreement(snapshot: Snapshot) -> str:
    """What each consensus run measured, by dimension, in the order of the recipe."""
    rows = snapshot.rows("SELECT consensus_id, method, agreement_json FROM @consensus_runs c")
    known = {row["consensus_id"]: row for row in rows}
    lines = ["## Agreement", "", "| consensus | method | dimension | agreement |", "|---|---|---|---|"]
    for name in snapshot.config.consensus_ids:
        measured = json.loads(known[name]["agreement_json"] or "{}")
        for dimension, value in sorted(measured.items()):
            facts = value.items() if isinstance(value, dict) else [("alpha", value)]
            said = ", ".join(f"{key} {json.dumps(fact)}" for key, fact in facts)
            lines.append(f"| {name[:8]} | {known[name]['method']} | {dimension} | {said} |")
    return "\n".join(lines) + "\n"


def _loading(config: BuildConfig, version: int, shards: Mapping[str, list[Shard]]) -> str:
    split, shard = next((split, written[0]) for split in SPLITS for written in [shards[split]] if written)
    group = shard.name.rpartition("-")[0]
    return f"""## How to load

```python
from warehouse.shards import open_split
samples = open_split(WAREHOUSE, "{config.name}", {version}, "{split}")

import webdataset
samples = webdataset.WebDataset("{split}/{shard.name}", shardshuffle=False).decode()

import datasets
samples = datasets.load_dataset(FOLDER_OF_THIS_FILE, "{group}", split="{split}")
```

A sample is `<key>.a.EXT`, `.b.EXT` (the pair), `.ref<i>.EXT` and `.cond.EXT` where there are references or a
condition, `.prompt.txt`, `.instruction.txt` (a template), `.rationale.txt` (empty where there is none) and `.json`
(ids, votes and `p_a` = P(a beats b)). Clips: `samples.cast_column("a.mp4", datasets.Video(decode=False))`.
"""


def write_card(
    config: BuildConfig,
    version: int,
    plan: Outline,
    snapshot: Snapshot,
    tally: Tally,
    shards: Mapping[str, list[Shard]],
) -> str:
    """The card's text."""
    ratio = f"validation {config.validation:g}, test {config.test:g}, seed {config.split_seed}"
    shared = (
        f"Split by prompt ({ratio}). Across splits: {tally.shared_prompts()} shared prompts (those of generators "
        f"held out), {tally.shared_media()} identical media files, {tally.near_prompts()} groups of prompts with the "
        "same words.\n"
    )
    parts = [
        f"{_front_matter(shards)}\n# {config.name}@{version}\n\nContent hash `{plan.hash}`.\n",
        _table("Splits", "split", {split: plan.splits.get(split, 0) for split in SPLITS}) + "\n" + shared,
        *(_table(f"By {name}", name, tally.counts[name]) for name in (*_COUNTED, "generator", "licence", "rationale")),
        _table("Votes behind the consensus", "annotator kind", _votes(snapshot)),
        _agreement(snapshot),
        _table("Left out", "reason", plan.left_out),
        _loading(config, version, shards),
    ]
    return "\n".join(parts)
