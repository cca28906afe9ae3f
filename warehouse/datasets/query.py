"""The rows a build reads, all as they stand at one snapshot, in pages of whole pairs.

Ten million preferences never lie in memory at once: a page holds the samples of at most a few thousand pairs.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from warehouse.catalog import Warehouse
from warehouse.datasets.recipe import BuildConfig
from warehouse.errors import ConflictError, NotFoundError
from warehouse.forget import subject, withdrawals
from warehouse.records import Row

PAGE_PAIRS = 5000
# Preferences in order of pair and dimension, and rationales by pair and dimension.
Page = tuple[list[Row], dict[tuple[str, str], list[Row]]]
_PREFERENCES = """
SELECT f.preference_id, f.consensus_id, f.pair_id, f.dimension, f.p_a, f.p_tie, f.n_votes, f.n_a, f.n_b, f.n_tie,
    f.n_both_bad, f.split_population, q.task, q.source, q.prompt_id, q.prompt_b_id, q.candidate_a, q.candidate_b,
    t.text, t.canonical, t.domain, t.media_kind, t.source AS prompt_source, t.licence_id AS licence_prompt,
    t.condition_media_id, ga.generator_id AS generator_a, gb.generator_id AS generator_b,
    ga.name AS generator_name_a, gb.name AS generator_name_b,
    ma.media_id AS media_a, ma.uri AS uri_a, ma.fps AS fps_a, ma.licence_id AS licence_a,
    mb.media_id AS media_b, mb.uri AS uri_b, mb.fps AS fps_b, mb.licence_id AS licence_b,
    mc.uri AS uri_cond, mc.licence_id AS licence_cond
FROM @preferences f LEFT JOIN @pairs q ON q.pair_id = f.pair_id
LEFT JOIN @prompts t ON t.prompt_id = q.prompt_id
LEFT JOIN @candidates a ON a.candidate_id = q.candidate_a LEFT JOIN @candidates b ON b.candidate_id = q.candidate_b
LEFT JOIN @generators ga ON ga.generator_id = a.generator_id
LEFT JOIN @generators gb ON gb.generator_id = b.generator_id
LEFT JOIN @media ma ON ma.media_id = a.media_id LEFT JOIN @media mb ON mb.media_id = b.media_id
LEFT JOIN @media mc ON mc.media_id = t.condition_media_id
WHERE list_contains(?::VARCHAR[], f.consensus_id) AND f.pair_id BETWEEN ? AND ?
    AND (len(?::VARCHAR[]) = 0 OR list_contains(?::VARCHAR[], coalesce(q.task, '')))
    AND (len(?::VARCHAR[]) = 0 OR list_contains(?::VARCHAR[], f.dimension))
"""
_RATIONALES = """
SELECT rationale_id, pair_id, dimension, verdict, text, author_kind, author_id, coalesce(verified, false) AS verified
FROM @rationales r WHERE pair_id BETWEEN ? AND ? AND trim(coalesce(text, '')) <> '' ORDER BY rationale_id
"""
_VOTER_KINDS = """
SELECT v.pair_id, v.dimension, list(DISTINCT coalesce(a.kind, 'unknown')) AS kinds
FROM @votes v LEFT JOIN @annotators a ON a.annotator_id = v.annotator_id
WHERE v.pair_id BETWEEN ? AND ? AND NOT coalesce(v.deleted, false) GROUP BY ALL
"""
_REFERENCES = """
SELECT r.prompt_id, r.candidate_id, m.media_id, m.uri FROM @reference_ranks r
JOIN @candidates c ON c.candidate_id = r.candidate_id JOIN @media m ON m.media_id = c.media_id
WHERE r.model_id = ? ORDER BY r.prompt_id, r.rank, r.candidate_id
"""
_BOUNDS = """
SELECT min(pair_id) AS first, max(pair_id) AS last FROM (
    SELECT pair_id, (row_number() OVER (ORDER BY pair_id) - 1) // ? AS page FROM (
        SELECT DISTINCT pair_id FROM @preferences f WHERE list_contains(?::VARCHAR[], consensus_id)))
GROUP BY page ORDER BY page
"""
_TABLE = re.compile(r"@(\w+) (\w+)")


class Snapshot:
    """What a build of `config` reads from the warehouse as it stands when this object is made."""

    def __init__(self, config: BuildConfig, warehouse: Warehouse) -> None:
        self.config, self.id = config, warehouse.snapshot()
        self._warehouse = warehouse
        self.root = warehouse.root
        self._kept: Page | None = None
        self._check_consensus()

    def rows(self, sql: str, params: list[Any] | None = None) -> list[Row]:
        """Rows of a query whose tables are written `@table alias`, all at this snapshot."""
        return self._warehouse.rows(_TABLE.sub(rf"\1 \2 AT (VERSION => {self.id})", sql), params or [])

    def _check_consensus(self) -> None:
        rows = self.rows("SELECT consensus_id, raters_json FROM @consensus_runs c")
        known = {row["consensus_id"]: json.loads(row["raters_json"] or "{}") for row in rows}
        for name in self.config.consensus_ids:
            if name not in known:
                raise NotFoundError(f"no consensus run {name!r}", hint="run the stage annotation.consensus first")
            forgotten = [rater for rater in known[name] if self.withdrawn("annotator", rater)]
            if forgotten:
                raise ConflictError(
                    f"consensus {name} counts the votes of {forgotten[0]}, who was forgotten",
                    hint="merge the votes again with the stage annotation.consensus, and name that run",
                )

    @cached_property
    def _withdrawals(self) -> frozenset[str]:
        return withdrawals(self.rows)

    def withdrawn(self, kind: str, value: str | None) -> bool:
        """True for an annotator, media, prompt or source that was forgotten."""
        return bool(self._withdrawals) and value is not None and subject(kind, value) in self._withdrawals

    @cached_property
    def instructions(self) -> dict[tuple[str, str], Row]:
        """(task, dimension) -> instruction; ConflictError where one version says two things."""
        rows = self.rows(
            "SELECT instruction_id, task, dimension, template FROM @instructions i WHERE version = ? AND form = ?"
            " ORDER BY instruction_id",
            [self.config.instruction_version, self.config.instruction_form],
        )
        found: dict[tuple[str, str], Row] = {}
        for row in rows:
            if found.setdefault((row["task"], row["dimension"]), row) is not row:
                raise ConflictError(
                    f"instruction version {self.config.instruction_version} has two templates for {row['task']}, "
                    f"{row['dimension']}",
                    hint="give changed instructions a new version",
                )
        return found

    @cached_property
    def licences(self) -> dict[str, bool]:
        """Licence id -> True where it is non-commercial."""
        rows = self.rows("SELECT licence_id, coalesce(non_commercial, false) AS closed FROM @licences l")
        return {row["licence_id"].casefold(): row["closed"] for row in rows}

    @cached_property
    def ood_texts(self) -> frozenset[str]:
        """Canonical texts of held-out prompts: whatever shares the text is held out with them."""
        rows = self.rows(
            "SELECT DISTINCT canonical FROM @prompts p WHERE list_contains(?::VARCHAR[], coalesce(domain, ''))"
            " OR list_contains(?::VARCHAR[], coalesce(source, ''))",
            [list(self.config.ood_domains), list(self.config.ood_sources)],
        )
        return frozenset(row["canonical"] for row in rows)

    @cached_property
    def references(self) -> dict[str, list[Row]]:
        """Prompt -> its ranked candidates, best first."""
        found: dict[str, list[Row]] = defaultdict(list)
        if self.config.references:
            for row in self.rows(_REFERENCES, [self.config.reference_model_id]):
                found[row["prompt_id"]].append(row)
        return found

    @cached_property
    def _bounds(self) -> list[tuple[str, str]]:
        """(first, last) pair of every page."""
        found = self.rows(_BOUNDS, [PAGE_PAIRS, list(self.config.consensus_ids)])
        return [(row["first"], row["last"]) for row in found]

    def pages(self) -> Iterator[Page]:
        """Page after page. A build walks them twice; one that is all there is is kept between the walks."""
        for bounds in self._bounds:
            if self._kept is None or len(self._bounds) > 1:
                self._kept = self._page(*bounds)
            yield self._kept

    def _page(self, first: str, last: str) -> Page:
        wanted = list(self.config.consensus_ids)
        tasks, dimensions = list(self.config.tasks), list(self.config.dimensions)
        preferences = self.rows(_PREFERENCES, [wanted, first, last, tasks, tasks, dimensions, dimensions])
        preferences.sort(key=lambda row: (row["pair_id"], row["dimension"], wanted.index(row["consensus_id"])))
        rationales: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.rows(_RATIONALES, [first, last]) if self.config.rationales else []:
            if not self.withdrawn("annotator", row["author_id"]):
                rationales[(row["pair_id"], row["dimension"])].append(row)
        self._name_voters(preferences, first, last)
        return preferences, rationales

    def _name_voters(self, preferences: list[Row], first: str, last: str) -> None:
        """Give each preference the kinds of its raters, where the recipe asks for kinds."""
        if not self.config.annotator_kinds:
            return
        rows = self.rows(_VOTER_KINDS, [first, last])
        kinds = {(row["pair_id"], row["dimension"]): row["kinds"] for row in rows}
        for row in preferences:
            row["annotator_kinds"] = kinds.get((row["pair_id"], row["dimension"]), [])
