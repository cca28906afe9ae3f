"""The flow `whole-loop`: one Prefect flow a stage, independent stages side by side.

Owns order and waiting only. A stage runs as a subprocess (`pipelines.job`) on one thread; its receipt decides whether
the next stage may start: rejects over the limit stop the run after the good rows were committed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from prefect import flow

from pipelines.config import SOURCE_ROOT, StageEntry
from pipelines.job import OVER_LIMIT, write_json
from pipelines.plan import Plan
from pipelines.progress import RunProgress
from warehouse.errors import ConfigError, RejectLimitError, RewardDanceError


class StageFailedError(RewardDanceError):
    """A stage's process ended without a receipt; the message is that of the stage."""


def _log_tail(path: str, lines: int = 6) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return " | ".join(line.strip() for line in file.readlines()[-lines:])


async def _start(job_path: str, log_path: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SOURCE_ROOT)}
    with open(log_path, "ab") as log:
        return await asyncio.create_subprocess_exec(sys.executable, "-m", "pipelines.job", job_path, env=environment,
                                                    stdout=asyncio.subprocess.PIPE, stderr=log, limit=2**20)


async def _follow(process: asyncio.subprocess.Process, name: str, progress: RunProgress) -> dict[str, Any]:
    """Passes progress lines on until the process ends; returns the error document it printed, if any."""
    problem: dict[str, Any] = {}
    assert process.stdout is not None
    async for line in process.stdout:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if "error" in message:
            problem = message["error"]
        elif "done" in message:
            progress.step(name, message["done"], message["total"], message["note"])
    return problem


async def run_job(job: dict[str, Any], plan: Plan, progress: RunProgress) -> None:
    """Runs one job to its receipt; raises StageFailedError or RejectLimitError."""
    name = job["name"]
    job_path = plan.out / "jobs" / f"{name}.json"
    log_path = plan.out / "logs" / f"{name}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    write_json(job_path, job)
    process = await _start(str(job_path), str(log_path))
    try:
        problem = await _follow(process, name, progress)
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    if code == OVER_LIMIT:
        raise RejectLimitError(f"stage {name!r}: rejects passed the limit; good rows are committed",
                               where=str(log_path), hint="look at them: rewarddance sql 'SELECT * FROM rejects'")
    if code:
        kind = ConfigError if problem.get("type") == "ConfigError" else StageFailedError
        raise kind(problem.get("message") or f"exit code {code}: {_log_tail(str(log_path))}",
                   where=f"stage {name}, {problem.get('where') or log_path}",
                   hint=problem.get("hint") or "the same command goes on where it stopped")


@flow(name="stage", flow_run_name="{name}", validate_parameters=False, log_prints=False)
async def stage_flow(name: str, job: dict[str, Any], plan: Plan, progress: RunProgress) -> None:
    """One stage as a Prefect flow run of its own."""
    await run_job(job, plan, progress)


async def _one(entry: StageEntry, plan: Plan, progress: RunProgress, slots: asyncio.Semaphore) -> str:
    title = entry.title or entry.name
    async with slots:
        job = plan.job(entry)
        receipt = plan.finished(job)
        if receipt is None:
            progress.started(entry.name, title)
            await stage_flow.with_options(name=entry.name.replace("_", "-"))(entry.name, job, plan, progress)
            receipt = json.loads(plan.receipt_path(entry.name).read_text(encoding="utf-8"))["receipt"]
        else:
            receipt = {**receipt, "changed": False}
    plan.receipts[entry.name] = receipt
    progress.finished(entry.name, title, receipt["seconds"], receipt["changed"])
    return entry.name


def _ready(plan: Plan, begun: set[str]) -> list[StageEntry]:
    return [entry for entry in plan.config.stages
            if entry.name not in begun and plan.config.waits_for(entry) <= set(plan.receipts)]


async def run_stages(plan: Plan, progress: RunProgress) -> None:
    """Starts every stage as soon as what it waits for has finished, at most `workers` at once."""
    slots = asyncio.Semaphore(plan.config.workers)
    begun, running = set(plan.receipts), set[asyncio.Task[str]]()
    while True:
        for entry in _ready(plan, begun):
            begun.add(entry.name)
            running.add(asyncio.create_task(_one(entry, plan, progress, slots)))
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
async def whole_loop(plan: Plan, progress: RunProgress) -> None:
    """All stages of a run; what has its receipt already is not started again."""
    await run_stages(plan, progress)
