"""Eight processes write and two read for a minute, and a random one is killed again and again: is anything lost?

Counted at the end: acknowledged batches that are not there, batches that are there in part or twice, errors that a
writer met, readings that saw half a batch. The peer of the speed is one writer alone, undisturbed. `--seed` decides
who is killed when; `--url` takes any warehouse (default: a new folder).
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks._reader import batches  # noqa: E402
from benchmarks._reporting import Row, finish  # noqa: E402
from warehouse import open_warehouse  # noqa: E402


@dataclass(frozen=True)
class Plan:
    """How many processes for how long; a random one is killed every `kill_every_s`, 0 for never.

    With `kills`, the clock does not matter: each kill waits for `commits` more acknowledgements, the last one ends it.
    """

    writers: int = 8
    readers: int = 2
    seconds: float = 60.0
    kill_every_s: float = 1.0
    seed: int = 0
    kills: int = 0
    commits: int = 4


@dataclass(frozen=True)
class Outcome:
    """What was left at the end."""

    acknowledged: int
    lost: int
    partial: int
    doubled: int
    errors: list[str]
    readings: int
    wrong_readings: int
    kills: int
    seconds: float


class _Crew:
    """The processes; each has a log, and comes back under its name after a kill."""

    def __init__(self, url: str, folder: Path, plan: Plan) -> None:
        self._url, self._folder = url, folder
        self.names = [f"w{i}" for i in range(plan.writers)] + [f"r{i}" for i in range(plan.readers)]
        self._running = {name: self._start(name) for name in self.names}

    def log(self, name: str) -> Path:
        """Where a process writes what it did."""
        return self._folder / f"{name}.log"

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        who = ["benchmarks._writer", self._url, name] if name.startswith("w") else ["benchmarks._reader", self._url]
        with (self._folder / f"{name}.stderr").open("ab") as errors:
            return subprocess.Popen([sys.executable, "-m", *who, str(self.log(name))], cwd=ROOT, stderr=errors)

    def kill(self, name: str, again: bool) -> bool:
        """SIGKILL; True where it was alive. `again` starts it anew, also where it had died by itself."""
        process = self._running[name]
        alive = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        if again:
            self._running[name] = self._start(name)
        return alive

    def wait(self, commits: int) -> None:
        """Until so many commits were acknowledged, or a process met an error; five minutes at most."""
        deadline = time.monotonic() + 300
        while len(self.lines("w")) < commits and time.monotonic() < deadline and not self.errors():
            time.sleep(0.02)

    def lines(self, letter: str) -> list[str]:
        """Whole lines of the logs of writers (w) or readers (r)."""
        logs = [self.log(name) for name in self.names if name.startswith(letter) and self.log(name).exists()]
        found = [line for log in logs for line in log.read_text().splitlines(keepends=True)]
        return [line.rstrip("\n") for line in found if line.endswith("\n")]

    def errors(self) -> list[str]:
        """What writers met, and what ended a reader."""
        told = [line for path in self._folder.glob("w*.error") for line in path.read_text().splitlines()]
        return told + [line for path in self._folder.glob("*.stderr") for line in path.read_text().splitlines()[-1:]]


def disturb(url: str, folder: Path, plan: Plan) -> Outcome:
    """Run the plan on an existing or new warehouse; `folder` keeps the logs. The clock starts with the first commit."""
    open_warehouse(url).close()
    crew, chance, kills = _Crew(url, folder, plan), random.Random(plan.seed), 0
    try:
        crew.wait(1)
        started = time.monotonic()
        for _ in range(plan.kills):
            crew.wait(len(crew.lines("w")) + plan.commits)
            kills += crew.kill(chance.choice(crew.names), again=True)
        while not plan.kills and (left := started + plan.seconds - time.monotonic()) > 0:
            time.sleep(min(left, plan.kill_every_s or left))
            if plan.kill_every_s and left > plan.kill_every_s:
                kills += crew.kill(chance.choice(crew.names), again=True)
    finally:
        for name in crew.names:
            crew.kill(name, again=False)
    seconds = time.monotonic() - started
    return _judge(url, crew, kills, seconds)


def _judge(url: str, crew: _Crew, kills: int, seconds: float) -> Outcome:
    acknowledged, readings = crew.lines("w"), crew.lines("r")
    with open_warehouse(url) as warehouse:
        there, partial, doubled = batches(warehouse)
    return Outcome(
        len(acknowledged),
        len(set(acknowledged) - there),
        partial,
        doubled + len(acknowledged) - len(set(acknowledged)),
        crew.errors(),
        len(readings),
        sum(line != "ok" for line in readings),
        kills,
        seconds,
    )


def rows(outcome: Outcome, alone: Outcome, name: str) -> list[Row]:
    """The table: what must be zero, then speed against one undisturbed writer."""
    zeros = {
        "acknowledged, lost": outcome.lost,
        "partial": outcome.partial,
        "doubled": outcome.doubled,
        "errors met": len(outcome.errors),
        "half-seen by readers": outcome.wrong_readings,
    }
    listed = [Row(f"{name}: {what}", n, None, float(n == 0), "count", 1.0, n == 0) for what, n in zeros.items()]
    ours, peer = outcome.acknowledged / outcome.seconds, alone.acknowledged / alone.seconds
    return [
        *listed,
        Row(f"{name}: commits against one writer", ours, peer, ours / peer, "1/s", 0.5, ours / peer >= 0.5),
    ]


def main() -> None:
    """Both sides, one after the other."""
    parser = argparse.ArgumentParser(description="Concurrent writers, readers and kills.")
    parser.add_argument("--quick", action="store_true", help="fifteen seconds instead of a minute, no table")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--seed", type=int, default=0, help="who is killed when")
    parser.add_argument("--kills", type=int, default=0, help="kills by commits, not by the clock (a busy machine)")
    parser.add_argument("--url", default="", help="a warehouse (default: a new folder)")
    args = parser.parse_args()
    plan = Plan(seconds=15.0 if args.quick else 60.0, seed=args.seed, kills=args.kills)
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder) / side for side in ("alone", "together")]
        for log in logs:
            log.mkdir()
        url = args.url or f"{folder}/warehouse"
        alone = disturb(f"{folder}/alone-warehouse", logs[0], Plan(1, 0, plan.seconds / 4, 0.0))
        outcome = disturb(url, logs[1], plan)
    name = f"{plan.writers} writers, {plan.readers} readers, {outcome.kills} kills, {outcome.seconds:.0f} s"
    notes = f"{outcome.acknowledged} acknowledged commits, {outcome.readings} readings, seed {plan.seed}.\n"
    print(notes, *outcome.errors[:10], sep="\n", file=sys.stderr)
    finish("warehouse_concurrency", rows(outcome, alone, name), args, notes)


if __name__ == "__main__":
    main()
