"""A process that imports heavy modules once and forks a child for each stage: `python -m pipelines.nursery MODULE ...`.

Importing torch and transformers costs seconds, more than most stages of a small run. A forked child starts at once and
is still a process of its own: memory, threads and a crash stay with the stage. Nothing but imports happens before a
fork (no threads, no open warehouse, no device), so that a child may do anything.

Requests come as JSON lines on stdin: {"name", "job", "log"} starts a job, {"name", "kill": true} ends one. Messages go
out as JSON lines on stdout: what the job sends, with its name, and at its end {"name", "exit": code}. When stdin ends,
because the run was killed, all children are killed too. Where forking is unsafe (anything but Linux) a job is started
as a fresh process instead.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
from collections import deque
from typing import Any

from pipelines import job

_REQUESTS, _MESSAGES = 0, 1
# A message up to this size is written to the pipe in one piece whatever other children write.
_ATOMIC_BYTES = 4096
_FORKS = sys.platform == "linux"


def send(fd: int, message: dict[str, Any]) -> None:
    """One JSON line; long texts are cut."""
    line = json.dumps(message, default=str)
    if len(line) >= _ATOMIC_BYTES:
        error = {key: str(value)[:600] for key, value in message.get("error", {}).items()}
        line = json.dumps({"name": message["name"], "error": error} if error else {"name": message["name"]})
    os.write(fd, line.encode() + b"\n")


def _die_with_parent() -> None:
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _become(request: dict[str, Any]) -> None:
    """The child's whole life: streams to the log, messages to the parent's pipe, then the job."""
    code = job.FAILED
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _die_with_parent()
        messages = os.dup(_MESSAGES)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        code = job.run_file(request["job"], lambda message: send(messages, {"name": request["name"], **message}))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        # Whatever happened, the child never returns into its parent's loop.
        os._exit(code)


def _start(request: dict[str, Any]) -> int:
    """The process id of a started job."""
    if not _FORKS:
        with open(request["log"], "ab") as log:
            arguments = [sys.executable, "-m", "pipelines.job", request["job"], request["name"]]
            return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stderr=log).pid
    pid = os.fork()
    if pid == 0:
        _become(request)
    return pid


class Nursery:
    """Children by process id; `waiting` are modules that are imported while there is nothing else to do."""

    def __init__(self, modules: list[str]) -> None:
        self.waiting = deque(modules)
        self.children: dict[int, str] = {}
        self.unread = b""
        self.bell, ring = os.pipe()
        os.set_blocking(ring, False)
        os.set_blocking(self.bell, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Until stdin ends."""
        while True:
            ready, _, _ = select.select([_REQUESTS, self.bell], [], [], 0 if self.waiting else None)
            if self.bell in ready:
                os.read(self.bell, 4096)
            self._reap()
            if _REQUESTS in ready:
                if not self._read():
                    return
            elif self.waiting:
                self._import(self.waiting.popleft())

    def _read(self) -> bool:
        data = os.read(_REQUESTS, 65536)
        *lines, self.unread = (self.unread + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return bool(data)

    def _obey(self, request: dict[str, Any]) -> None:
        if request.get("kill"):
            for pid, name in self.children.items():
                if name == request["name"]:
                    os.kill(pid, signal.SIGKILL)
        else:
            self.children[_start(request)] = request["name"]

    def _reap(self) -> None:
        while self.children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            name = self.children.pop(pid, None)
            if name is not None:
                send(_MESSAGES, {"name": name, "exit": os.waitstatus_to_exitcode(status)})

    def _import(self, module: str) -> None:
        try:
            importlib.import_module(module)
        except Exception as error:
            # The job that needs the module says so, with its own place and hint.
            print(f"{module} does not import: {error}", file=sys.stderr)

    def end(self) -> None:
        """Kill what is still running."""
        for pid in self.children:
            os.kill(pid, signal.SIGKILL)


def main(modules: list[str]) -> None:
    """Entry point; the arguments are the modules to import."""
    nursery = Nursery(modules)
    try:
        nursery.serve()
    except KeyboardInterrupt:
        pass
    finally:
        nursery.end()


if __name__ == "__main__":
    main(sys.argv[1:])
