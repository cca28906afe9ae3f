"""Starts jobs in a nursery (nursery.py) and passes on what they say, for the flow's event loop.

The nursery is started before Prefect is imported, so that both get ready at the same time.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pipelines.config import SOURCE_ROOT, StageEntry

_LOST = -9
# Slow imports that rooms leave to the function that needs them.
_MODELS = ("torch", "transformers.models.qwen3_vl.modeling_qwen3_vl")
_MODEL_ROOMS = ("rm.", "alignment.", "simulation.evaluate")


def modules_of(entries: Iterable[StageEntry]) -> list[str]:
    """What the stages' jobs will import, light modules first, without repeats."""
    stages = [entry.stage.partition(":")[0] for entry in entries]
    plugins = [value.partition(":")[0] for entry in entries for value in entry.options.values()
               if isinstance(value, str) and value.startswith(("simulation.", "generation.")) and ":" in value]
    heavy = [*_MODELS] if any(name.startswith(_MODEL_ROOMS) for name in stages) else []
    return list(dict.fromkeys([*stages, *plugins, *heavy]))


class Launcher:
    """One nursery; `run` may be awaited for several jobs at once, `workers` of which share the cores for their queries.

    Closing it ends whatever still runs.
    """

    def __init__(self, modules: list[str], log: Path, workers: int) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        cores = str(max(1, (os.cpu_count() or 1) // workers))
        environment = {"REWARDDANCE_THREADS": cores, **os.environ, "OMP_NUM_THREADS": "1",
                       "PYTHONPATH": str(SOURCE_ROOT)}
        with log.open("ab") as errors:
            self._process = subprocess.Popen([sys.executable, "-m", "pipelines.nursery", *modules], env=environment,
                                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        self._boxes: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Queue[dict[str, Any]]]] = {}
        self._lost = False
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            self._deliver(message["name"], message)
        self._lost = True
        for name in list(self._boxes):
            self._deliver(name, {"exit": _LOST})

    def _deliver(self, name: str, message: dict[str, Any]) -> None:
        if name in self._boxes:
            loop, box = self._boxes[name]
            loop.call_soon_threadsafe(box.put_nowait, message)

    def _ask(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._lost = True

    async def run(self, name: str, job: Path, log: Path, on_message: Callable[[dict[str, Any]], None]) -> int:
        """The job's exit code (negative: killed by that signal); its messages go to `on_message` as they come."""
        box: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._boxes[name] = (asyncio.get_running_loop(), box)
        self._ask({"name": name, "job": str(job), "log": str(log)})
        if self._lost:
            return _LOST
        try:
            while True:
                message = await box.get()
                if "exit" in message:
                    return int(message["exit"])
                on_message(message)
        except asyncio.CancelledError:
            self._ask({"name": name, "kill": True})
            raise
        finally:
            del self._boxes[name]
