"""Forgetting end to end: keep a record out, merge the votes again without it, build each dataset without it, erase.

It spans rooms: what depends on a record is the warehouse's, merging votes is annotation's. Every step is idempotent, so
the same command finishes what a killed one began.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annotation import consensus
from annotation.consensus import ConsensusConfig
from warehouse import Warehouse, open_warehouse
from warehouse.datasets import build
from warehouse.datasets.recipe import BuildConfig
from warehouse.datasets.versions import find_version
from warehouse.erasure import erase
from warehouse.errors import ConfigError, ConflictError, InvalidInputError, NotFoundError
from warehouse.forget import dependants, subject, withdraw
from warehouse.records import Row


def forget(
    warehouse: Warehouse, kind: str, record_id: str, *, erasing: bool, dry_run: bool, backups: Sequence[str] = ()
) -> dict[str, Any]:
    """What depends on a record, and, unless `dry_run`, every dataset's next version without it.

    Returns {kind, id, samples, versions, models, exports, changed, rebuilt: [{name, version, hash, problem}], erased,
    backups: [{warehouse, erased}]}; `backups` are copies of the warehouse, from which an erasure takes it away, too.
    """
    for url in backups:
        _check_copy(url)
    answer = _forget(warehouse, kind, record_id, erasing, dry_run)
    copies = backups if erasing and not dry_run else ()
    return answer | {"backups": [{"warehouse": url, "erased": _erase_copy(url, kind, record_id)} for url in copies]}


def _check_copy(url: str) -> None:
    if "://" not in url and not (Path(url) / "catalog.sqlite").is_file():
        raise NotFoundError("no warehouse to erase from", where=url, hint="name the folder of a copy, or its URL")


def _erase_copy(url: str, kind: str, record_id: str) -> dict[str, Any] | None:
    """What went from a copy of the warehouse, None where it never had the record."""
    with open_warehouse(url) as copy:
        if not _is_erased(copy, kind, record_id):
            try:
                withdraw(copy, kind, record_id)
            except NotFoundError:
                return None
        return erase(copy, kind, record_id)


def _forget(warehouse: Warehouse, kind: str, record_id: str, erasing: bool, dry_run: bool) -> dict[str, Any]:
    if _is_erased(warehouse, kind, record_id):
        return _finish_erasure(warehouse, kind, record_id, dry_run or not erasing)
    if dry_run:
        return dependants(warehouse, kind, record_id) | {"changed": False, "rebuilt": [], "erased": None}
    impact = withdraw(warehouse, kind, record_id)
    names = sorted({row["name"] for row in impact["versions"]})
    rebuilt = [_rebuild(warehouse, name, kind, record_id) for name in names]
    erased = erase(warehouse, kind, record_id) if erasing else None
    return impact | {"changed": impact["changed"] or erased is not None, "rebuilt": rebuilt, "erased": erased}


def _is_erased(warehouse: Warehouse, kind: str, record_id: str) -> bool:
    query = "SELECT 1 FROM audit WHERE action = 'erase' AND subject = ?"
    return bool(warehouse.rows(query, [subject(kind, record_id)]))


def _finish_erasure(warehouse: Warehouse, kind: str, record_id: str, only_look: bool) -> dict[str, Any]:
    """An erased record leaves nothing to look at; a killed erasure goes on."""
    erased = None if only_look else erase(warehouse, kind, record_id)
    empty: dict[str, Any] = {"samples": 0, "versions": [], "models": [], "exports": [], "rebuilt": []}
    return {"kind": kind, "id": record_id, **empty, "changed": False, "erased": erased}


def _rebuild(warehouse: Warehouse, name: str, kind: str, record_id: str) -> dict[str, Any]:
    """The next version of a dataset by its latest recipe; a dataset of which nothing is left says so."""
    latest = find_version(warehouse, name)
    body = warehouse.rows("SELECT body_json FROM recipes WHERE recipe_id = ?", [latest["recipe_id"]])
    recipe = BuildConfig.model_validate(json.loads(body[0]["body_json"]))
    try:
        if kind == "annotator":
            merged = tuple(_merge_again(warehouse, consensus_id, record_id) for consensus_id in recipe.consensus_ids)
            recipe = recipe.model_copy(update={"consensus_ids": merged})
        outputs = build.run(recipe, warehouse).outputs
    except (InvalidInputError, ConfigError) as error:
        return {"name": name, "version": None, "hash": None, "problem": str(error)}
    return {"name": name, "version": outputs["version"], "hash": outputs["hash"], "problem": None}


def _merge_again(warehouse: Warehouse, consensus_id: str, annotator_id: str) -> str:
    """A consensus run's id, or, where it knows the rater, that of the same run on the votes that are left."""
    row = warehouse.rows("SELECT * FROM consensus_runs WHERE consensus_id = ?", [consensus_id])[0]
    if annotator_id not in json.loads(row["raters_json"] or "{}"):
        return consensus_id
    return str(consensus.run(_config_of(row), warehouse).outputs["consensus_id"])


def _config_of(row: Row) -> ConsensusConfig:
    if not row["params_json"]:
        raise ConflictError(
            f"consensus {row['consensus_id']} does not say how it was made",
            hint="merge the votes again with `rewarddance annotate consensus` and build the dataset from that",
        )
    return ConsensusConfig.model_validate(json.loads(row["params_json"]))
