"""One export: a folder that appears whole, and an audit row that says who was given which version."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from warehouse.catalog import Warehouse
from warehouse.datasets.recipe import SPLITS
from warehouse.datasets.versions import find_version
from warehouse.errors import ConfigError, ConflictError
from warehouse.export.formats import WRITERS
from warehouse.export.items import items
from warehouse.forget import write_audit
from warehouse.pseudonyms import Pseudonyms
from warehouse.shards import open_split

FORMATS = tuple(WRITERS)


def export(warehouse: Warehouse, reference: str, to: str, out: Path) -> dict[str, Any]:
    """Write a version to the folder `out`: {export_id, version, format, path, splits: {split: n}, raters}.

    Raters get names that hold in this export only. Raises ConfigError for an unknown format, ConflictError where `out`
    is there already, CorruptDataError where a sample is not what it was.
    """
    if to not in WRITERS:
        raise ConfigError(f"no format {to!r}", hint=f"one of {', '.join(FORMATS)}")
    if out.exists():
        raise ConflictError("the folder is there already", where=str(out), hint="name a new one")
    row = find_version(warehouse, reference)
    name, version = row["name"], row["version"]
    export_id = secrets.token_hex(8)
    pseudonyms = Pseudonyms(warehouse, export_id)
    part = out.with_name(f".{out.name}.{export_id}")
    part.mkdir(parents=True)
    try:
        splits = {}
        for split in SPLITS:
            samples = open_split(warehouse, name, version, split)
            splits[split] = WRITERS[to](part, split, items(warehouse, row, samples, pseudonyms))
        (part / "README.md").write_text(_card(row["card"], f"{name}@{version}", to, export_id), encoding="utf-8")
        os.replace(part, out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    detail = {
        "export_id": export_id,
        "version": f"{name}@{version}",
        "format": to,
        "path": str(out.resolve()),
        "splits": splits,
        "raters": len(pseudonyms),
    }
    write_audit(warehouse, "export", f"{name}@{version}", detail, once=False)
    return detail


def _card(card: str, version: str, to: str, export_id: str) -> str:
    """The version's card without its front matter, which names shards, and without how to load those."""
    body = card.partition("\n---\n")[2].partition("## How to load")[0].strip()
    said = f"{version} as {to}, export `{export_id}`; raters have names of this export only."
    return f"{body}\n\n## This export\n\n{said}\n"
