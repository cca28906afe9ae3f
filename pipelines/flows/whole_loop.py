"""The flow `whole-loop`: one Prefect flow a stage, independent stages side by side.

Owns order and waiting only. A stage runs in a process of its own on one thread (launcher.py); its receipt decides
whether the next stage may start: rejects over the limit stop the run after the good rows were committed.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from prefect import flow

from pipelines.config import StageEntry
from pipelines.job import OVER_LIMIT, write_json
from pipelines.launcher import Launcher
from pipelines.plan import Plan
from pipelines.progress import RunProgress
from warehouse.errors import ConfigError, RejectLimitError, RewardDanceError


class StageFailedError(RewardDanceError):
    """A stage's process ended without a receipt; the message is that of the stage."""


def _log_tail(path: Path, lines: int = 6) -> str:
    return " | ".join(line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


async def run_job(job: dict[str, Any], plan: Plan, launcher: Launcher, progress: RunProgress) -> None:
    """Runs one job to its receipt; raises StageFailedError, ConfigError or RejectLimitError."""
    name = job["name"]
    job_path, log_path = plan.out / "jobs" / f"{name}.json", plan.out / "logs" / f"{name}.log"
    log_path.touch()
    write_json(job_path, job)
    problem: dict[str, Any] = {}

    def hear(message: dict[str, Any]) -> None:
        if "error" in message:
            problem.update(message["error"])
        elif "done" in message:
            progress.step(name, message["done"], message["total"], message["note"])

    code = await launcher.run(name, job_path, log_path, hear)
    if code == OVER_LIMIT:
        raise RejectLimitError(f"stage {name!r}: rejects passed the limit; good rows are committed",
                               where=str(log_path), hint="look at them: rewarddance sql 'SELECT * FROM rejects'")
    if code:
        kind = ConfigError if problem.get("type") == "ConfigError" else StageFailedError
        raise kind(problem.get("message") or f"exit code {code}: {_log_tail(log_path)}",
                   where=f"stage {name}, {problem.get('where') or log_path}",
                   hint=problem.get("hint") or "the same command goes on where it stopped")


@flow(name="stage", flow_run_name="{name}", validate_parameters=False, log_prints=False)
async def stage_flow(name: str, job: dict[str, Any], plan: Plan, launcher: Launcher, progress: RunProgress) -> None:
    """One stage as a Prefect flow run of its own."""
    await run_job(job, plan, launcher, progress)


async def _one(
    entry: StageEntry, plan: Plan, launcher: Launcher, progress: RunProgress, slots: asyncio.Semaphore
) -> str:
    title = entry.title or entry.name
    async with slots:
        job = plan.job(entry)
        receipt = plan.finished(job)
        if receipt is None:
            progress.started(entry.name, title)
            await stage_flow.with_options(name=entry.name.replace("_", "-"))(
                entry.name, job, plan, launcher, progress)
            receipt = json.loads(plan.receipt_path(entry.name).read_text(encoding="utf-8"))["receipt"]
        else:
            receipt = {**receipt, "changed": False}
    plan.receipts[entry.name] = receipt
    progress.finished(entry.name, title, receipt["seconds"], receipt["changed"])
    return entry.name


def _ready(plan: Plan, begun: set[str]) -> list[StageEntry]:
    return [entry for entry in plan.config.stages
            if entry.name not in begun and plan.config.waits_for(entry) <= set(plan.receipts)]


async def run_stages(plan: Plan, launcher: Launcher, progress: RunProgress) -> None:
    """Starts every stage as soon as what it waits for has finished, at most `workers` at once."""
    slots = asyncio.Semaphore(plan.config.workers)
    begun, running = set(plan.receipts), set[asyncio.Task[str]]()
    while True:
        for entry in _ready(plan, begun):
            begun.add(entry.name)
            running.add(asyncio.create_task(_one(entry, plan, launcher, progress, slots)))
        if not running:
            return
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        failed = [task.exception() for task in done if task.exception()]
        if failed:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            raise failed[0]  # type: ignore[misc]


@flow(name="whole-loop", validate_parameters=False)
async def whole_loop(plan: Plan, launcher: Launcher, progress: RunProgress) -> None:
    """All stages of a run; what has its receipt already is not started again."""
    await run_stages(plan, launcher, progress)
