"""The rows a build reads, all as they stand at one snapshot: what is small as it is, the selection as one query.

The selection is SQL, so that ten million preferences are joined, filtered, split and hashed by the database and pass
through memory in pages; its text stands in selection.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa

from warehouse.catalog import Warehouse
from warehouse.datasets.recipe import BuildConfig
from warehouse.errors import ConflictError, NotFoundError
from warehouse.forget import subject, subject_sql, withdrawals
from warehouse.hashing import Column, literal
from warehouse.records import Row

_TABLE = re.compile(r"@(\w+) (\w+)")
_MEDIA = """
WITH chosen AS (SELECT DISTINCT pair_id FROM @preferences f WHERE list_contains({consensus}, consensus_id)),
shown AS (SELECT candidate_a, candidate_b, prompt_id FROM @pairs q SEMI JOIN chosen USING (pair_id)),
candidate AS (SELECT candidate_a AS candidate_id FROM shown UNION SELECT candidate_b FROM shown
    UNION SELECT candidate_id FROM @reference_ranks r WHERE model_id = {model})
SELECT uri FROM @media m WHERE uri IS NOT NULL AND media_id IN (
    SELECT media_id FROM @candidates c SEMI JOIN candidate USING (candidate_id)
    UNION SELECT condition_media_id FROM @prompts t SEMI JOIN shown USING (prompt_id))
"""


_HEARD_ELSEWHERE = """
rationale_id IN (SELECT v.rationale_id FROM @votes v LEFT JOIN @annotation_tasks k ON k.task_id = v.task_id
    WHERE v.rationale_id IS NOT NULL GROUP BY ALL
    HAVING NOT bool_or({asked}))
"""


def origins(runs: Iterable[Row]) -> list[str]:
    """Ids of the campaigns and names of the sources whose votes some consensus runs read."""
    params = [json.loads(run["params_json"] or "{}") for run in runs]
    return sorted({name for each in params for key in ("campaign_ids", "vote_sources") for name in each.get(key, ())})


def texts(values: Sequence[str]) -> str:
    """A SQL list of texts."""
    return f"[{', '.join(map(literal, values))}]::VARCHAR[]"


class Snapshot:
    """What a build of `config` reads from the warehouse as it stands when this object is made.

    `media` = False takes all media for there that a row names.
    """

    def __init__(self, config: BuildConfig, warehouse: Warehouse, media: bool = True) -> None:
        self.config, self.id = config, warehouse.snapshot()
        self._warehouse, self._media = warehouse, media
        self._check_consensus()
        self._check_instructions()

    def _at(self, sql: str) -> str:
        return _TABLE.sub(rf"lake.\1 \2 AT (VERSION => {self.id})", sql)

    def rows(self, sql: str, params: list[Any] | None = None) -> list[Row]:
        """Rows of a query whose tables are written `@table alias`, all at this snapshot."""
        return self._warehouse.rows(self._at(sql), params or [])

    def pages(self, sql: str, rows: int) -> Iterator[pa.RecordBatch]:
        """The same for results that do not fit in memory, at most `rows` at a time."""
        return self._warehouse.pages(self._at(sql), rows)

    def _check_consensus(self) -> None:
        rows = self.rows("SELECT consensus_id, raters_json FROM @consensus_runs c")
        known = {row["consensus_id"]: json.loads(row["raters_json"] or "{}") for row in rows}
        for name in self.config.consensus_ids:
            if name not in known:
                raise NotFoundError(f"no consensus run {name!r}", hint="run the stage annotation.consensus first")
            forgotten = [rater for rater in known[name] if subject("annotator", rater) in self._withdrawals]
            if forgotten:
                raise ConflictError(
                    f"consensus {name} counts the votes of {forgotten[0]}, who was forgotten",
                    hint="merge the votes again with the stage annotation.consensus, and name that run",
                )

    def _check_instructions(self) -> None:
        rows = self.rows(
            "SELECT task, dimension FROM @instructions i WHERE version = ? AND form = ? GROUP BY ALL"
            " HAVING count(DISTINCT instruction_id) > 1 ORDER BY ALL",
            [self.config.instruction_version, self.config.instruction_form],
        )
        if rows:
            raise ConflictError(
                f"instruction version {self.config.instruction_version} has two templates for {rows[0]['task']}, "
                f"{rows[0]['dimension']}",
                hint="give changed instructions a new version",
            )

    @cached_property
    def _withdrawals(self) -> frozenset[str]:
        return withdrawals(self.rows)

    def withdrawn(self, kind: str, *columns: str) -> str:
        """SQL: does one of the columns name an annotator, media, prompt or source that was forgotten?"""
        known = sorted(name for name in self._withdrawals if name.startswith(f"{kind}:"))
        if not known:
            return "false"
        asked = (f"list_contains({texts(known)}, {subject_sql(kind, Column(column))})" for column in columns)
        # NULL names nothing.
        return f"({' OR '.join(f'coalesce({test}, false)' for test in asked)})"

    @cached_property
    def asked(self) -> str:
        """SQL over a vote `v` and its task `k`: did a consensus of the recipe read it?

        Another campaign, a placebo for example, may have asked about the same pairs.
        """
        runs = self.rows("SELECT params_json FROM @consensus_runs c WHERE list_contains(?::VARCHAR[], consensus_id)",
                         [list(self.config.consensus_ids)])
        told = texts(origins(runs))
        either = f"list_contains({told}, k.campaign_id) OR list_contains({told}, v.source)"
        return f"coalesce({either}, false)" if origins(runs) else "true"

    @property
    def heard_elsewhere(self) -> str:
        """SQL: was a rationale given with votes that no consensus of the recipe read, and with no other?"""
        return _HEARD_ELSEWHERE.format(asked=self.asked)

    @cached_property
    def usable_licences(self) -> tuple[list[str], list[str]]:
        """Licence ids that a sample may carry, and known ones that it may not."""
        rows = self.rows("SELECT licence_id, coalesce(non_commercial, false) AS closed FROM @licences l")
        named = {name.casefold() for name in self.config.licences}
        free = {row["licence_id"].casefold() for row in rows if not row["closed"]}
        closed = {row["licence_id"].casefold() for row in rows if row["closed"]}
        return sorted(free | named), sorted(closed - named)

    @cached_property
    def absent(self) -> list[str]:
        """Uris of media that the rows name and whose bytes are not there."""
        if not self._media:
            return []
        model = literal(self.config.reference_model_id)
        sql = _MEDIA.format(consensus=texts(self.config.consensus_ids), model=model)
        return self._warehouse.media.absent(uri for page in self.pages(sql, 50_000) for uri in page[0].to_pylist())
