"""What a person watches while a run goes on: one rich line a stage with its count and the time left."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)


def _bar(console: Console) -> Progress:
    return Progress(SpinnerColumn(), TextColumn("{task.description:<34}"), BarColumn(bar_width=24),
                    MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
                    console=console, disable=not sys.stderr.isatty())


class StageProgress:
    """Progress of one stage on stderr, for a command that runs nothing else; silent without a terminal."""

    def __init__(self, title: str) -> None:
        self.bar = _bar(Console(stderr=True))
        self.task = self.bar.add_task(title, total=None, note="")

    def __enter__(self) -> StageProgress:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total` items."""
        self.bar.update(self.task, completed=done, total=total or None, note=note)


class RunProgress:
    """Progress of a run on stderr; without a terminal, one plain line when a stage starts and ends."""

    def __init__(self, stages: int) -> None:
        self.console = Console(stderr=True)
        self.bar = _bar(self.console)
        self.total = self.bar.add_task("whole loop", total=stages, note="")
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> RunProgress:
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.bar.stop()

    def already_done(self, stages: int) -> None:
        """So many stages were done by an earlier run."""
        if stages:
            self.bar.advance(self.total, stages)
            self.console.print(f"  [green]done[/green]   {stages} stages of an earlier run", highlight=False)

    def started(self, name: str, title: str) -> None:
        """A stage's job has started."""
        self.tasks[name] = self.bar.add_task(title, total=None, note="")
        if self.bar.disable:
            self.console.print(f"  start  {title}", highlight=False)

    def step(self, name: str, done: int, total: int, note: str) -> None:
        """`done` of `total` items of a running stage."""
        self.bar.update(self.tasks[name], completed=done, total=total or None, note=note)

    def finished(self, name: str, title: str, seconds: float, changed: bool) -> None:
        """A stage has its receipt; `changed` False means that there was nothing to do."""
        if name in self.tasks:
            self.bar.remove_task(self.tasks.pop(name))
        self.bar.advance(self.total)
        state = f"{seconds:6.1f} s" if changed else "unchanged"
        self.console.print(f"  [green]done[/green]   {title:<40} {state}", highlight=False)
