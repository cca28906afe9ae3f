"""What changed in a project since a mark, page by page, and the mark from which the next poll goes on.

The server stamps a task when it changes and shows the change once it is committed, which may be a moment later. So a
mark is a time by the server's own clock, before which all was heard but for the seconds of OVERLAP, and the stamps that
tasks of the overlap had. The next poll lists the overlap's stamps and reads the tasks where one is another. Once a
change is older than the overlap the mark goes past it: a poll where nothing happens asks for nothing twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from annotation.label_studio import projects
from annotation.label_studio.answers import moment, stamp
from annotation.label_studio.client import StudioClient

# How long a change may take from its stamp to its commit: one statement, or SQLite's wait for its turn (5 s).
OVERLAP = timedelta(seconds=10)
_PAST = OVERLAP + timedelta(seconds=1)


@dataclass(frozen=True)
class Mark:
    """Where a poll goes on: a time (None: at the beginning), and stamps of the overlap before it by task number."""

    at: datetime | None = None
    seen: Mapping[int, datetime] = field(default_factory=dict)

    @classmethod
    def read(cls, value: Any) -> Mark:
        """From JSON: what `plain` made, or a time alone."""
        if not value:
            return cls()
        if isinstance(value, str):
            return cls(moment(value))
        return cls(moment(value["at"]), {int(number): moment(text) for number, text in value["seen"].items()})

    def plain(self) -> Any:
        """For JSON."""
        if self.at is None:
            return ""
        return {"at": stamp(self.at), "seen": {str(number): stamp(when) for number, when in sorted(self.seen.items())}}

    def moved(self, at: datetime, stamps: Mapping[int, datetime]) -> Mark:
        """Further on, never back, with what of `stamps` lies in the overlap."""
        to = max(at, self.at or at)
        return Mark(to, {number: when for number, when in stamps.items() if when >= to - OVERLAP})


def poll(client: StudioClient, project: int, mark: Mark, having: str = "") -> Iterator[tuple[projects.Page, Mark]]:
    """Pages of tasks that changed, each with the mark that holds once it was taken in; an empty page comes last.

    `having` is that of `projects.pages_of`. Raises what the client raises.
    """
    if mark.at is None and not having:
        yield from _first(client, project)
        return
    stamps, sure, bound = dict(mark.seen), None, _clock(client)
    asked = bound
    for page in _pages(client, project, mark, having):
        bound = asked
        new = {task["id"]: moment(task["updated_at"]) for task in page}
        fresh = [task for task in page if stamps.get(task["id"]) != new[task["id"]]]
        stamps |= new
        if sure is None and max(new.values()) > asked - OVERLAP:
            # Before the time at which this page was asked for, less the overlap, nothing can come any more.
            sure = asked
        last = max(stamps.values())
        yield fresh, mark.moved(min(last, sure or last), stamps)
        # The next page is asked for when the loop goes on.
        asked = _clock(client)
    if not stamps:
        yield [], mark
        return
    last = max(stamps.values())
    end = mark.moved(min(last + _PAST, sure or bound), stamps)
    if end.seen and last + _PAST <= _clock(client):
        # Reading took longer than the overlap: what was young is old now and can be settled.
        yield from poll(client, project, end, having)
    else:
        yield [], end


def _first(client: StudioClient, project: int) -> Iterator[tuple[projects.Page, Mark]]:
    """Tasks that somebody passed by or answered: of the others of a project that was never heard there is no news.

    No mark of these pages goes beyond the time at which this began, since a task that was passed by later may be
    missing. Skips, which are few, come first and move none.
    """
    began, stamps, mark = _clock(client), dict[int, datetime](), Mark()
    for having in ("cancelled_annotations", "total_annotations"):
        for page in projects.pages_of(client, project, "all", having=having):
            stamps |= {task["id"]: moment(task["updated_at"]) for task in page}
            if having == "total_annotations":
                mark = mark.moved(min(began, moment(page[-1]["updated_at"])), stamps)
            yield page, mark
    end = mark.moved(began, stamps) if stamps else mark
    if end.seen and began + _PAST <= _clock(client):
        # Reading took longer than the overlap, as below.
        yield from poll(client, project, end)
    else:
        yield [], end


def _pages(client: StudioClient, project: int, mark: Mark, having: str) -> Iterator[projects.Page]:
    """Tasks of the overlap with another stamp, then all that changed since the mark."""
    if mark.at is None:
        return projects.pages_of(client, project, "all", having=having)
    since = stamp(mark.at - OVERLAP)
    if not mark.seen:
        return projects.pages_of(client, project, "all", since, having=having)
    listed = itertools.chain.from_iterable(
        projects.pages_of(client, project, "stamps", since, stamp(mark.at), having)
    )
    late = [task["id"] for task in listed if mark.seen.get(task["id"]) != moment(task["updated_at"])]
    return itertools.chain(projects.named(client, project, late),
                           projects.pages_of(client, project, "all", stamp(mark.at), having=having))


def _clock(client: StudioClient) -> datetime:
    """The server's time at its last answer, in whole seconds that have passed; ours where it does not say."""
    said = parsedate_to_datetime(client.clock) if client.clock else datetime.now(UTC)
    return said.astimezone(UTC).replace(tzinfo=None)
