"""A stage: a frozen config and a plain function `run(config, warehouse) -> Receipt`.

`run_stage` gives every stage the same habits: a run id that follows from config and inputs, nothing done twice, bad
rows kept as rejects with their reason, and a receipt written after everything else. It knows no scheduler.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel, ConfigDict

from warehouse.catalog import Warehouse
from warehouse.hashing import canonical_json, content_id

Progress = Callable[[int, int, str], None]
_progress: ContextVar[Progress | None] = ContextVar("stage_progress", default=None)


class StageConfig(BaseModel):
    """Base of all stage configs. Fields marked `json_schema_extra={"place": True}` say where, not what: no hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    reject_limit: float = 0.5

    def identity(self) -> dict[str, Any]:
        """The fields that decide the outcome."""
        return {
            name: value
            for name, value in self.model_dump(mode="json").items()
            if not _is_place(type(self).model_fields[name].json_schema_extra)
        }


def _is_place(extra: Any) -> bool:
    return isinstance(extra, dict) and bool(extra.get("place"))


class Receipt(BaseModel):
    """What a stage did; `changed` is False where the same work had been done before."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    stage: str
    run_id: str
    config_hash: str
    input_digest: str
    inputs: dict[str, str]
    outputs: dict[str, Any]
    counts: dict[str, int]
    rejected: dict[str, int]
    seconds: float
    changed: bool
    over_limit: bool


class Recorder:
    """What a running stage reports: counts, outputs, rejects, progress."""

    def __init__(self, stage: str, run_id: str) -> None:
        self.stage, self.run_id = stage, run_id
        self.counts: Counter[str] = Counter()
        self.outputs: dict[str, Any] = {}
        self.rejects: list[dict[str, Any]] = []
        self._tolerated: set[str] = set()

    def tolerate(self, *reasons: str) -> None:
        """Rejects for these reasons are kept and counted, and do not count against the limit."""
        self._tolerated.update(reasons)

    def against_limit(self) -> int:
        """How many rejects count against the limit."""
        return sum(reject["reason"] not in self._tolerated for reject in self.rejects)

    def count(self, name: str, n: int = 1) -> None:
        """Add `n` to a count; n = 0 makes the key appear."""
        self.counts[name] += n

    def output(self, name: str, value: Any) -> None:
        """Set one named output, JSON-ready."""
        self.outputs[name] = value

    def reject(self, *, source: str, location: str, reason: str, detail: str = "") -> None:
        """Keep a bad row: where it stood and why it was refused."""
        self.rejects.append(
            {
                "reject_id": content_id("reject", self.stage, source, location, reason, detail),
                "stage": self.stage,
                "source": source,
                "location": location,
                "reason": reason,
                "detail": detail[:2000],
                "created_at": _now(),
            }
        )

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Tell whoever listens how far the stage is."""
        listener = _progress.get()
        if listener is not None:
            listener(done, total, note)


@contextmanager
def on_progress(listener: Progress) -> Iterator[None]:
    """Listen to the progress of stages run inside the block."""
    token = _progress.set(listener)
    try:
        yield
    finally:
        _progress.reset(token)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


@lru_cache(maxsize=1)
def code_version() -> str:
    """Version of the installed package."""
    try:
        return version("rewarddance")
    except PackageNotFoundError:
        return "uninstalled"


def _stored(warehouse: Warehouse, run_id: str) -> Receipt | None:
    rows = warehouse.rows("SELECT * FROM runs WHERE run_id = ? AND state IN ('done', 'over_limit')", [run_id])
    if not rows:
        return None
    row = rows[0]
    loaded = {name: json.loads(row[f"{name}_json"]) for name in ("inputs", "outputs", "counts", "rejected")}
    return Receipt(
        stage=row["stage"],
        run_id=run_id,
        config_hash=row["config_hash"],
        input_digest=row["input_digest"],
        seconds=row["seconds"],
        changed=False,
        over_limit=row["state"] == "over_limit",
        **loaded,
    )


def _over_limit(config: StageConfig, recorder: Recorder) -> bool:
    seen = recorder.counts.get("read", 0) or recorder.counts.total() + len(recorder.rejects)
    rejects = recorder.against_limit()
    return bool(rejects) and rejects > config.reject_limit * max(seen, 1)


def run_stage(
    stage: str, config: StageConfig, warehouse: Warehouse, inputs: Mapping[str, str], body: Callable[[Recorder], None]
) -> Receipt:
    """Run `body` once for this config and these input digests; a finished run's receipt is returned instead.

    A body that raises leaves no receipt: rows it has committed are found again by their content ids when it is rerun.
    """
    config_hash = content_id("config", stage, canonical_json(config.identity()))
    input_digest = content_id("inputs", canonical_json(dict(inputs)))
    run_id = content_id("run", stage, config_hash, input_digest)
    stored = _stored(warehouse, run_id)
    if stored is not None:
        return stored
    recorder, started_at, clock = Recorder(stage, run_id), _now(), time.perf_counter()
    body(recorder)
    over = _over_limit(config, recorder)
    receipt = Receipt(
        stage=stage,
        run_id=run_id,
        config_hash=config_hash,
        input_digest=input_digest,
        inputs=dict(inputs),
        outputs=recorder.outputs,
        counts=dict(recorder.counts),
        rejected=dict(Counter(row["reason"] for row in recorder.rejects)),
        seconds=round(time.perf_counter() - clock, 3),
        changed=True,
        over_limit=over,
    )
    with warehouse.commit(f"{stage} {run_id}"):
        warehouse.merge("rejects", recorder.rejects, run_id=run_id)
        warehouse.merge("runs", [_run_row(receipt, config, warehouse, started_at)])
    return receipt


def _run_row(receipt: Receipt, config: StageConfig, warehouse: Warehouse, started_at: datetime) -> dict[str, Any]:
    return {
        "run_id": receipt.run_id,
        "stage": receipt.stage,
        "config_hash": receipt.config_hash,
        "input_digest": receipt.input_digest,
        "config_json": canonical_json(config.model_dump(mode="json")),
        "inputs_json": canonical_json(receipt.inputs),
        "outputs_json": canonical_json(receipt.outputs),
        "counts_json": canonical_json(receipt.counts),
        "rejected_json": canonical_json(receipt.rejected),
        "seconds": receipt.seconds,
        "code_version": code_version(),
        "snapshot_id": warehouse.snapshot(),
        "state": "over_limit" if receipt.over_limit else "done",
        "started_at": started_at,
        "finished_at": _now(),
    }
