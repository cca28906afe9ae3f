"""Rows -> samples: what stays, what is left out and why, and the facts that each sample carries.

A sample's facts are flat and never null, so that every reader infers the same types from any sample. The content
hash is over these canonical rows and the ids of media, never over the bytes of a file.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from warehouse.datasets.query import Snapshot
from warehouse.datasets.recipe import split_of
from warehouse.hashing import canonical_json, content_id, sha256_hex
from warehouse.records import Row
from warehouse.shards.reader import SAMPLE_SCHEMA

_MERGED_BY = ("consensus_id", "preference_id")


@dataclass(frozen=True)
class MediaMember:
    """A media file of a sample: role a, b, cond or ref<i>; `uri` relative to the warehouse."""

    role: str
    media_id: str
    uri: str

    @property
    def suffix(self) -> str:
        """`a.png`."""
        return f"{self.role}{PurePosixPath(self.uri).suffix}"


@dataclass(frozen=True)
class Chosen:
    """A sample that goes into the version."""

    key: str
    split: str
    canonical: str
    prompt: str
    instruction: str
    rationale: str
    facts: dict[str, Any]
    media: tuple[MediaMember, ...]
    reference_ids: tuple[str, ...]

    def content_sha256(self) -> str:
        """64 hex digits over everything the sample says; see the function of this name."""
        texts = [self.split, self.prompt, self.instruction, self.rationale]
        return content_sha256(texts, self.facts, [(member.suffix, member.media_id) for member in self.media])


def content_sha256(texts: Sequence[str], facts: Mapping[str, Any], media: Sequence[tuple[str, str]]) -> str:
    """Hash of split, prompt, instruction and rationale; facts but for the run that merged the votes; (suffix, id).

    So a sample that another consensus run left as it was counts as unchanged when versions are compared.
    """
    kept = {name: value for name, value in facts.items() if name not in _MERGED_BY}
    return sha256_hex(canonical_json([list(texts), kept, [list(member) for member in media]]).encode())


def verdict_of(p_a: float) -> tuple[str, ...]:
    """Labels that agree with P(a beats b): ties and both-bad agree with one half."""
    if p_a == 0.5:
        return ("tie", "both_bad")
    return ("a",) if p_a > 0.5 else ("b",)


def choose_rationale(rationales: list[Row], p_a: float) -> Row | None:
    """The rationale whose verdict agrees with the consensus; verified before typed ones, then the smallest id.

    What a model wrote counts only where the verdict could be predicted back from it.
    """
    agreeing = [row for row in rationales if row["verdict"] in verdict_of(p_a)]
    usable = [row for row in agreeing if row["verified"] or row["author_kind"] != "model"]
    return min(usable, key=lambda row: (not row["verified"], row["rationale_id"]), default=None)


class Selector:
    """Walks a snapshot once; `left_out` counts by reason what does not become a sample."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot, self._config = snapshot, snapshot.config
        self.left_out: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Chosen]:
        self.left_out.clear()
        for preferences, rationales in self._snapshot.pages():
            seen: set[tuple[str, str]] = set()
            for row in preferences:
                place = (row["pair_id"], row["dimension"])
                reason = "superseded" if place in seen else self.reason(row)
                seen.add(place)
                if reason:
                    self.left_out[reason] += 1
                else:
                    yield self._chosen(row, rationales.get(place, []))

    def reason(self, row: Row) -> str:
        """Why a preference becomes no sample, "" where it does."""
        config = self._config
        if row["text"] is None:
            return "pair_unknown"
        if row["prompt_b_id"] is not None:
            return "across_prompts"
        if self._withdrawn(row):
            return "withdrawn"
        filtered = self._filtered(row)
        if filtered:
            return filtered
        if row["p_a"] is None:
            return "no_label"
        if row["n_votes"] < config.min_votes:
            return "few_votes"
        refused = self._refused_licence(row)
        if refused:
            return refused
        if (row["task"], row["dimension"]) not in self._snapshot.instructions:
            return "no_instruction"
        return "" if self._present(row) else "media_absent"

    def _withdrawn(self, row: Row) -> bool:
        """Whether what the sample shows was forgotten (warehouse/forget.py)."""
        media = (row["media_a"], row["media_b"], row["condition_media_id"])
        named = [("prompt", row["prompt_id"]), ("source", row["source"]), ("source", row["prompt_source"])]
        return any(self._snapshot.withdrawn(*pair) for pair in [*named, *(("media", value) for value in media)])

    def _filtered(self, row: Row) -> str:
        """Why the recipe's filters leave a preference out, "" where they do not."""
        config = self._config
        if config.sources and not {row["source"], row["prompt_source"]} & set(config.sources):
            return "other_source"
        sides = ({row["generator_a"], row["generator_name_a"]}, {row["generator_b"], row["generator_name_b"]})
        if config.generators and not all(side & set(config.generators) for side in sides):
            return "other_generator"
        if config.annotator_kinds and not set(row["annotator_kinds"]) <= set(config.annotator_kinds):
            return "other_annotators"
        return ""

    def _refused_licence(self, row: Row) -> str:
        named = {name.casefold() for name in self._config.licences}
        for licence in _licences(row):
            if licence.casefold() in named:
                continue
            non_commercial = self._snapshot.licences.get(licence.casefold())
            if non_commercial is None:
                return "licence_unknown"
            if non_commercial:
                return "licence_non_commercial"
        return ""

    def _present(self, row: Row) -> bool:
        uris = [row["uri_a"], row["uri_b"], *([row["uri_cond"]] if row["condition_media_id"] else [])]
        return all(uri and (self._snapshot.root / uri).is_file() for uri in uris)

    def _split(self, row: Row) -> str:
        generators = {row["generator_a"], row["generator_b"], row["generator_name_a"], row["generator_name_b"]}
        held_out = row["canonical"] in self._snapshot.ood_texts or generators & set(self._config.ood_generators)
        return "ood" if held_out else split_of(row["canonical"], self._config)

    def _chosen(self, row: Row, rationales: list[Row]) -> Chosen:
        instruction = self._snapshot.instructions[(row["task"], row["dimension"])]
        rationale = choose_rationale(rationales, row["p_a"])
        references = self._references(row)
        media = [MediaMember("a", row["media_a"], row["uri_a"]), MediaMember("b", row["media_b"], row["uri_b"])]
        media += [MediaMember(f"ref{i}", ref["media_id"], ref["uri"]) for i, ref in enumerate(references)]
        if row["condition_media_id"]:
            media.append(MediaMember("cond", row["condition_media_id"], row["uri_cond"]))
        key = content_id("sample", row["pair_id"], row["dimension"], self._config.instruction_version)
        return Chosen(
            key=key,
            split=self._split(row),
            canonical=row["canonical"],
            prompt=row["text"],
            instruction=instruction["template"],
            rationale=rationale["text"] if rationale else "",
            facts=self._facts(key, row, instruction, rationale),
            media=tuple(media),
            reference_ids=tuple(ref["candidate_id"] for ref in references),
        )

    def _references(self, row: Row) -> list[Row]:
        pair = (row["candidate_a"], row["candidate_b"])
        ranked = [ref for ref in self._snapshot.references.get(row["prompt_id"], []) if ref["candidate_id"] not in pair]
        shown = [ref for ref in ranked if not self._snapshot.withdrawn("media", ref["media_id"])]
        present = [ref for ref in shown if (self._snapshot.root / ref["uri"]).is_file()]
        return present[: self._config.references]

    def _facts(self, key: str, row: Row, instruction: Row, rationale: Row | None) -> dict[str, Any]:
        texts = (
            "pair_id prompt_id candidate_a candidate_b media_a media_b generator_a generator_b generator_name_a "
            "generator_name_b task dimension media_kind source prompt_source domain preference_id consensus_id"
        )
        return {
            "schema": SAMPLE_SCHEMA,
            "key": key,
            **{name: row[name] or "" for name in texts.split()},
            **{name: float(row[name] or 0.0) for name in ("p_a", "p_tie")},
            **{name: int(row[name] or 0) for name in ("n_votes", "n_a", "n_b", "n_tie", "n_both_bad")},
            "split_population": bool(row["split_population"]),
            # 0 where there is no rate: images.
            "fps": float(row["fps_a"] or 0.0),
            "fps_b": float(row["fps_b"] or 0.0),
            "instruction_id": instruction["instruction_id"],
            "instruction_version": self._config.instruction_version,
            "rationale_id": rationale["rationale_id"] if rationale else "",
            "rationale_verdict": rationale["verdict"] if rationale else "",
            "rationale_author_kind": rationale["author_kind"] if rationale else "",
            "rationale_verified": bool(rationale and rationale["verified"]),
            "licences": " ".join(_licences(row)),
        }


def _licences(row: Row) -> list[str]:
    """Licence ids that the prompt and the media of a pair carry, each once, in order."""
    ids = {row[name] for name in ("licence_prompt", "licence_a", "licence_b", "licence_cond")}
    return sorted(licence for licence in ids if licence)


class ContentHash:
    """The hash of a version: over its samples in order of pair and dimension."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, chosen: Chosen) -> str:
        """Take in one sample; returns its own hash."""
        content = chosen.content_sha256()
        self._digest.update(f"{chosen.key} {content}\n".encode())
        return content

    def hexdigest(self) -> str:
        """64 hex digits."""
        return self._digest.hexdigest()


@dataclass(frozen=True)
class Outline:
    """A selection without its media: its hash and what it counts."""

    hash: str
    splits: dict[str, int]
    left_out: dict[str, int]


def outline(snapshot: Snapshot) -> Outline:
    """Walk the selection once, reading rows only."""
    digest, splits, selector = ContentHash(), Counter[str](), Selector(snapshot)
    for chosen in selector:
        digest.add(chosen)
        splits[chosen.split] += 1
    return Outline(digest.hexdigest(), dict(splits), dict(sorted(selector.left_out.items())))
