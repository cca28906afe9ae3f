"""`rewarddance run CONFIG`: the whole loop, its summary and its report, under one folder.

Owns the order receipts -> flow -> report -> summary, and Prefect's surroundings (own home, quiet, no analytics).
Where every receipt still holds, Prefect is not even imported.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import Any

from pipelines.config import RunConfig
from pipelines.job import write_json
from pipelines.launcher import Launcher, modules_of
from pipelines.plan import Plan
from pipelines.progress import RunProgress


def prefect_environment(out: Path) -> dict[str, str]:
    """Settings of a Prefect that is this run's own: offline, quiet, patient at its start."""
    return {"PREFECT_HOME": str(out / "prefect"), "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "PREFECT_LOGGING_LEVEL": "ERROR",
            "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL", "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
            "PREFECT_LOGGING_TO_API_ENABLED": "false", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true"}


def _run_flow(plan: Plan, progress: RunProgress) -> None:
    for name, value in prefect_environment(plan.out).items():
        os.environ.setdefault(name, value)
    left = [entry for entry in plan.config.stages if entry.name not in plan.receipts]
    with Launcher(modules_of(left), plan.out / "logs" / "nursery.log", plan.config.workers) as launcher:
        from pipelines.flows.whole_loop import whole_loop

        logging.getLogger("prefect").setLevel(logging.CRITICAL)
        asyncio.run(whole_loop(plan, launcher, progress))


def run(config: RunConfig, out: Path, warehouse: str | None = None) -> dict[str, Any]:
    """Runs what is left of `config` under `out` and returns the summary document (also in out/summary.json).

    `warehouse` is the folder of the rows, by default `out`/warehouse.
    """
    started = time.monotonic()
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    plan = Plan(config, out, str(Path(warehouse).resolve() if warehouse else out / "warehouse"))
    done_before = plan.restore()
    with RunProgress(len(config.stages)) as progress:
        progress.already_done(len(plan.receipts))
        if not done_before:
            _run_flow(plan, progress)
    changed = any(receipt["changed"] for receipt in plan.receipts.values())
    return _finish(plan, started, changed=changed)


def _finish(plan: Plan, started: float, *, changed: bool) -> dict[str, Any]:
    from pipelines.summary import read_summary, summarise

    summary_path = plan.out / "summary.json"
    if not changed and summary_path.is_file() and (plan.out / "report.html").is_file():
        return {**read_summary(summary_path), "changed": False}
    from pipelines.report.page import write_report

    summary = summarise(plan)
    report_started = time.monotonic()
    if plan.config.report:
        write_report(plan, summary, plan.out / "report.html")
        summary["report"] = str(plan.out / "report.html")
    summary["seconds"]["report"] = round(time.monotonic() - report_started, 2)
    summary["seconds"]["total"] = round(time.monotonic() - started, 2)
    write_json(summary_path, summary)
    return {**summary, "changed": changed}
