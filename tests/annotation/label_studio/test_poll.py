"""The poll before a server whose commits come late: whatever the order, everything is heard, and then silence."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from annotation.label_studio import projects
from annotation.label_studio.answers import moment, stamp
from annotation.label_studio.client import StudioClient
from annotation.label_studio.poll import OVERLAP, Mark, poll

_START = datetime(2026, 1, 1)


PASSED = (3, 6)


class Server:
    """Tasks whose changes are stamped at one time and shown at another; each request takes `pace` seconds.

    Tasks of PASSED are passed by, all others answered, but for those above 1000, with which nothing was done.
    """

    def __init__(self, pace: float) -> None:
        self.now, self.pace = 0.0, pace
        self.commits: list[tuple[float, float, int]] = []
        self.listed = self.read = 0

    @property
    def clock(self) -> str:
        at = _START + timedelta(seconds=self.now)
        return format_datetime(at.replace(microsecond=0)).replace("-0000", "GMT")

    def shown(self) -> dict[int, datetime]:
        """The stamp of each task as it shows now."""
        there: dict[int, datetime] = {}
        for _, stamped, task in sorted(commit for commit in self.commits if commit[0] <= self.now):
            there[task] = max(there.get(task, _START), _START + timedelta(seconds=stamped))
        return there

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        assert path == "/api/tasks/"
        self.now += self.pace
        query, there = json.loads(params["query"]), self.shown()
        if "selectedItems" in query:
            there = {task: when for task, when in there.items() if task in query["selectedItems"]["included"]}
        for item in query.get("filters", {}).get("items", ()):
            if item["type"] == "Number":
                passed = item["filter"].endswith("cancelled_annotations")
                there = {task: when for task, when in there.items() if task < 1000 and (task in PASSED) == passed}
                continue
            edge = moment(item["value"])
            below = item["operator"] == "less"
            there = {task: when for task, when in there.items() if (when < edge if below else when >= edge)}
        rows = [{"id": task, "updated_at": stamp(when)} for task, when in sorted(there.items(), key=lambda x: x[1])]
        rows = rows[: params["page_size"]]
        self.listed += len(rows) * (params["include"] == "id,updated_at")
        self.read += len(rows) * (params["include"] != "id,updated_at")
        return {"tasks": rows, "total": len(there)}


def _hear(server: Server, mark: Mark, heard: dict[int, datetime], pages: int = 10**6) -> Mark:
    """One poll, or its first `pages` pages before it is killed; marks go through JSON as in the warehouse."""
    for count, (page, after) in enumerate(poll(cast(StudioClient, server), 1, mark)):
        if count == pages:
            break
        heard |= {task["id"]: moment(task["updated_at"]) for task in page}
        mark = Mark.read(json.loads(json.dumps(after.plain())))
    return mark


CHANGES = st.lists(st.tuples(st.integers(1, 8), st.floats(0.01, 100.0), st.floats(0.0, OVERLAP.total_seconds() - 1.5)),
                   max_size=30)
POLLS = st.lists(st.tuples(st.floats(0.0, 30.0), st.integers(0, 3) | st.just(10**6)), max_size=12)


@settings(deadline=None, max_examples=150)
@given(CHANGES, POLLS, st.sampled_from([0.0, 0.4, 6.0]))
# Task 3 is committed behind a page that was read, while the same poll goes on to later changes.
@example([(1, 1.0, 0.0), (2, 3.0, 0.0), (3, 2.5, 8.4), (4, 3.5, 0.0), (5, 14.0, 0.0)], [(4.0, 10**6)], 6.0)
def test_no_change_is_lost_whatever_comes_late_and_whoever_is_killed(
    changes: list[tuple[int, float, float]], polls: list[tuple[float, int]], pace: float
) -> None:
    server, mark, heard = Server(pace), Mark(), dict[int, datetime]()
    server.commits = [(stamped + late, stamped, task) for task, stamped, late in changes]
    page, projects._PAGE = projects._PAGE, 2
    try:
        for pause, pages in polls:
            server.now += pause
            mark = _hear(server, mark, heard, pages)
        server.now = max(server.now, 130.0)
        mark = _hear(server, mark, heard)
        # In a project whose tasks all were left alone so far there is nothing to settle.
        mark = _hear(server, mark, heard)
        assert heard == server.shown()
        server.listed = server.read = 0
        assert _hear(server, mark, heard) == mark and server.listed + server.read == 0
    finally:
        projects._PAGE = page


def test_young_votes_are_listed_and_not_read_again() -> None:
    server, heard = Server(0.0), dict[int, datetime]()
    server.commits = [(5.0, 5.0, task) for task in range(1, 101)]
    server.now = 6.0
    mark = _hear(server, Mark(), heard)
    assert len(heard) == server.read == 100
    server.now = 7.0
    server.commits.append((7.0, 5.5, 3))
    mark = _hear(server, mark, heard)
    assert (server.listed, server.read) == (100, 101) and heard[3] == _START + timedelta(seconds=5.5)
    server.now = 20.0
    assert not _hear(server, mark, heard).seen and server.read == 101


def test_tasks_that_nobody_touched_are_not_read_at_first() -> None:
    server, heard = Server(0.0), dict[int, datetime]()
    server.commits = [(5.0, 5.0, task) for task in range(1001, 1101)]
    server.now = 60.0
    assert _hear(server, Mark(), heard) == Mark() and server.read == 0
    server.commits += [(50.0, 50.0, 1), (52.0, 52.0, 3)]
    mark = _hear(server, Mark(), heard)
    assert set(heard) == {1, 3} and server.read == 2
    server.now = 61.0
    server.commits.append((61.0, 61.0, 1002))
    assert _hear(server, mark, heard).at == _START + timedelta(seconds=61)
    assert set(heard) == {1, 3, 1002} and server.read == 3


def test_a_long_first_poll_leaves_nothing_to_list() -> None:
    server, heard = Server(6.0), dict[int, datetime]()
    server.commits, server.now = [(5.0, 5.0, task) for task in range(1, 101)], 6.0
    mark = _hear(server, Mark(), heard)
    assert len(heard) == 100 and not mark.seen
    server.listed = server.read = 0
    assert _hear(server, mark, heard) == mark and server.listed + server.read == 0


def test_a_mark_of_earlier_versions_is_a_time_alone() -> None:
    assert Mark.read("2026-01-01T00:00:10.000000Z") == Mark(_START + timedelta(seconds=10))
    assert Mark.read("") == Mark.read(None) == Mark() and Mark().plain() == ""
