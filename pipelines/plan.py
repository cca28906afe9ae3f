"""What of a run is left to do: each stage's key, its receipt on disk, and whether it still holds.

A stage's key is a hash of its resolved options, its input files and the code; a receipt with that key means that the
work is done and no process has to start. The warehouse itself would say the same, a few seconds later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipelines.config import SOURCE_ROOT, RunConfig, StageEntry, resolve
from warehouse.hashing import canonical_json, content_id

ROOMS = ("warehouse", "annotation", "generation", "rm", "alignment", "simulation")


class Plan:
    """Receipts of one run under `out`; `warehouse_url` is where its rows go."""

    def __init__(self, config: RunConfig, out: Path, warehouse_url: str) -> None:
        self.config, self.out, self.warehouse_url = config, out, warehouse_url
        self.receipts: dict[str, dict[str, Any]] = {}

    def context(self) -> dict[str, Any]:
        """What references may name: run-wide values and the outputs of finished stages."""
        outputs = {name: receipt["outputs"] for name, receipt in self.receipts.items()}
        return {"taste": self.config.taste, "seed": self.config.seed, "out": str(self.out), "source": str(SOURCE_ROOT),
                "warehouse": self.warehouse_url, **outputs}

    def receipt_path(self, name: str) -> Path:
        """Where the receipt of stage `name` lies."""
        return self.out / "receipts" / f"{name}.json"

    def job(self, entry: StageEntry) -> dict[str, Any]:
        """The job document of a stage whose predecessors have finished."""
        options = resolve(entry.options, self.context())
        upstream = {name: self.receipts[name]["run_id"] for name in sorted(self.config.waits_for(entry))}
        key = content_id("job", entry.stage, canonical_json(options), canonical_json(upstream),
                         files_digest(resolve(list(entry.files), self.context())), code_digest())
        return {"name": entry.name, "stage": entry.stage, "options": options, "warehouse": self.warehouse_url,
                "receipt": str(self.receipt_path(entry.name)), "key": key}

    def finished(self, job: Mapping[str, Any]) -> dict[str, Any] | None:
        """The stored receipt where it belongs to exactly this job and did not pass its reject limit, else None."""
        path = Path(job["receipt"])
        if not path.is_file() or not Path(self.warehouse_url).exists():
            return None
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["key"] != job["key"] or stored["receipt"]["over_limit"]:
            return None
        receipt: dict[str, Any] = stored["receipt"]
        return receipt

    def restore(self) -> bool:
        """Reads receipts as far as they hold; True where the whole run is already done."""
        for entry in self.config.stages:
            if not self.config.waits_for(entry) <= set(self.receipts):
                continue
            receipt = self.finished(self.job(entry))
            if receipt is not None:
                self.receipts[entry.name] = {**receipt, "changed": False}
        return len(self.receipts) == len(self.config.stages)


def files_digest(paths: list[str]) -> str:
    """A digest of names, sizes and times of files and folders that a stage reads from outside the warehouse."""
    parts = []
    for name in paths:
        root = Path(name)
        for file in sorted([root] if root.is_file() else root.rglob("*")):
            if file.is_file():
                stat = file.stat()
                parts.append(f"{file.name}:{stat.st_size}:{stat.st_mtime_ns}")
    return content_id("files", *parts)


@lru_cache(maxsize=1)
def code_digest() -> str:
    """A digest of every source file and weight of the rooms: new code means that stages are asked again."""
    digest = hashlib.sha256()
    for room in ROOMS:
        for file in sorted((SOURCE_ROOT / room).rglob("*")):
            if file.suffix in {".py", ".sql"}:
                digest.update(file.relative_to(SOURCE_ROOT).as_posix().encode())
                digest.update(file.read_bytes())
            elif file.suffix == ".safetensors":
                digest.update(f"{file.name}:{file.stat().st_size}".encode())
    return digest.hexdigest()
