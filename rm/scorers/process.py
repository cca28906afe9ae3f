"""A public scorer in a process and an environment of its own: its pins clash with ours, its Python does not.

    scorer: "rm.scorers.process:ProcessScorer"
    scorer_options: {python: /envs/hpsv3/bin/python, scorer: hpsv3, options: {weights: /models/HPSv3.safetensors}}

The process is started by the first question and kept; it ends with ours. A batch that fails is an error with the
scorer's own words; a process that dies says its last line.
"""

from __future__ import annotations

import atexit
import json
import queue
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any

from rm.scorers import worker
from rm.scorers.pictures import Asked, PictureRewards, png_base64
from warehouse.errors import BackendError, ConfigError
from warehouse.hashing import canonical_json, content_id


class ProcessScorer(PictureRewards):
    """`scorer` (hpsv3, pickscore, imagereward) run by `python`; `options` are the worker's: weights, device.

    `start_s` is for loading weights, `timeout_s` for a batch.
    """

    def __init__(self, python: str, scorer: str, options: Mapping[str, Any] | None = None, temperature: float = 1.0,
                 start_s: float = 900.0, timeout_s: float = 300.0) -> None:
        super().__init__(temperature)
        if scorer not in worker.SCORERS:
            raise ConfigError(f"unknown scorer {scorer!r}", hint=f"one of {', '.join(sorted(worker.SCORERS))}")
        self.python, self.scorer, self.options = python, scorer, dict(options or {})
        self._start_s, self._timeout_s = start_s, timeout_s
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()
        self._said: IO[str] | None = None

    @property
    def model_id(self) -> str:
        """Follows from scorer and weights, not from where they run."""
        about = {name: value for name, value in self.options.items() if name != "device"}
        return content_id("process", self.scorer, canonical_json(about), self.temperature)

    def rewards(self, asked: Sequence[Asked]) -> list[float]:
        """In the worker's words where it failed."""
        process = self._running()
        document = {"prompts": [prompt for prompt, _ in asked],
                    "images": [png_base64(frames)[0] for _, frames in asked]}
        try:
            assert process.stdin
            process.stdin.write(json.dumps(document) + "\n")
            process.stdin.flush()
        except OSError as error:
            raise self._died() from error
        answer = self._answer(self._timeout_s)
        if "error" in answer or len(answer["rewards"]) != len(asked):
            raise BackendError(f"{self.scorer} failed: {answer.get('error', 'wrong number of rewards')}")
        return [float(value) for value in answer["rewards"]]

    def close(self) -> None:
        """End the process; the next question starts another."""
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
            command = [self.python, worker.__file__, self.scorer, json.dumps(self.options)]
            try:
                started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
                                           text=True)
            except OSError as error:
                raise ConfigError(f"{self.python} does not start: {error}", hint="python is that of the "
                                  "scorer's own environment") from error
            self._process, self._lines = started, queue.Queue()
            threading.Thread(target=_read, args=(started, self._lines), daemon=True).start()
            atexit.register(self.close)
            self._answer(self._start_s)
        return self._process

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty as error:
            self.close()
            raise BackendError(f"{self.scorer} has not answered for {timeout_s:g} s") from error
        if not line:
            raise self._died()
        found: dict[str, Any] = json.loads(line)
        return found

    def _died(self) -> BackendError:
        """What the process said last."""
        assert self._said and self._process
        code = self._process.wait()
        self._said.seek(0)
        last = ([line for line in self._said.read().splitlines() if line.strip()] or ["nothing"])[-1]
        self.close()
        return BackendError(f"{self.scorer} ended with {code}: {last[:300]}", where=self.python,
                            hint="does this environment have the scorer's package and weights?")


def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    """Lines as they come, and an empty one at the end."""
    for line in process.stdout or ():
        lines.put(line)
    lines.put("")
