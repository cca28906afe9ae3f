"""Stage `sync`: what people said in Label Studio becomes votes, flags and rejects of the warehouse.

One sync at a time (a file lock), so that an older answer never overwrites a newer one. A poll comes in pages, and
memory holds one: each is compared with what is stored, and where something is new, a stage runs and leaves a receipt.
The cursor moves after each page, so a sync that is killed anywhere hears the rest again; deleted projects, and label
configs that were edited by hand, are told of after all others were heard, and their votes stay. `full` is the nightly
reconciliation: it asks for an export instead of changes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any

from filelock import FileLock, Timeout

from annotation import votes
from annotation.backend import ShownVote
from annotation.items import source_of
from annotation.label_studio import state
from annotation.label_studio.answers import RATER_KIND, Fault, Heard, Note
from annotation.label_studio.backend import PLUGINS, LabelStudio
from annotation.label_studio.items import ItemsInLabelStudio
from warehouse import Warehouse
from warehouse.errors import BackendError, ConflictError, NotFoundError
from warehouse.hashing import canonical_json, content_id
from warehouse.records import Row, annotator_row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

_LOCK_S = 600.0
# Projects that an error names.
_NAMED = 5
_CAMPAIGNS = """
SELECT campaign_id, name, backend, guideline_version, dimensions_json, config_json FROM campaigns
WHERE backend IN (SELECT unnest(?::VARCHAR[])) AND (? = '' OR name = ?) ORDER BY created_at, campaign_id
"""
_ANSWERED = """
SELECT task_id, count(DISTINCT dimension) AS answered FROM votes
WHERE NOT coalesce(deleted, false) AND task_id IN (SELECT unnest(?::VARCHAR[])) GROUP BY task_id
"""
_REJECTS = """
SELECT location, detail FROM rejects
WHERE stage = 'sync' AND source = ? AND location IN (SELECT unnest(?::VARCHAR[]))
"""
_EVENTS = "SELECT event_id FROM events WHERE event_id IN (SELECT unnest(?::VARCHAR[]))"
_COMPARED = ("label", "updated_at", "deleted", "rationale_id")


class SyncConfig(StageConfig):
    """The campaign whose answers are taken in."""

    campaign_id: str
    reject_limit: float = 0.9


def sync(warehouse: Warehouse, campaign: str = "", full: bool = False) -> list[Receipt]:
    """Take in what is new in all Label Studio campaigns, or those of one name; `full` reads everything there is.

    One receipt for each page that had something new. Raises NotFoundError where no campaign has this name or a project
    was deleted on the server, ConflictError where a label config was edited by hand, both after all votes were taken
    in; BackendError where another sync does not end.
    """
    rows = warehouse.rows(_CAMPAIGNS, [list(PLUGINS), campaign, campaign])
    if not rows and campaign:
        raise NotFoundError(f"no Label Studio campaign {campaign!r}", hint="rewarddance annotate publish makes one")
    with one_at_a_time(warehouse):
        return _all(warehouse, rows, full)


@contextmanager
def one_at_a_time(warehouse: Warehouse) -> Iterator[None]:
    """The lock of everything that takes votes in from Label Studio; BackendError where its holder does not end."""
    lock = FileLock(state.folder(warehouse.root) / "sync.lock", timeout=_LOCK_S)
    try:
        lock.acquire()
    except Timeout as error:
        raise BackendError(f"another sync has not ended for {_LOCK_S:.0f} s", where=str(lock.lock_file)) from error
    try:
        yield
    finally:
        lock.release()


def totals(receipts: Sequence[Receipt]) -> dict[str, Any]:
    """The receipts of one sync as a command's answer, all keys always there."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for receipt in receipts:
        counts.update(receipt.counts)
        reasons.update(receipt.rejected)
    names = ("read", "votes", "deleted", "skips", "flags", "regions", "rationales")
    campaigns = {receipt.outputs["campaign"] for receipt in receipts}
    return {"changed": any(receipt.changed for receipt in receipts), "campaigns": len(campaigns),
            **{name: counts[name] for name in names}, "rejects": reasons.total(), "rejects_by_reason": dict(reasons),
            "over_limit": any(receipt.over_limit for receipt in receipts)}


def _all(warehouse: Warehouse, rows: Sequence[Row], full: bool) -> list[Receipt]:
    receipts: list[Receipt] = []
    gone: list[str] = []
    edited: list[str] = []
    for row in rows:
        kind = ItemsInLabelStudio if row["backend"] == ItemsInLabelStudio.plugin else LabelStudio
        backend = kind(warehouse, **json.loads(row["config_json"])["backend_options"])
        backend.campaign = row
        since = _cursor(warehouse, row)
        for heard in backend.changes(since, "all" if full else "changed"):
            receipts += _take_in(warehouse, row, heard, since)
            since = heard.cursor
            edited += [f"{row['name']}: project {project}" for project in heard.edited]
            gone += [f"{row['name']}: project {project}" for project in heard.gone]
    if gone:
        raise NotFoundError(f"projects are gone from Label Studio ({_some(gone)}); votes taken in before stay",
                            hint="restore the project from Label Studio's own backup, or publish another campaign")
    if edited:
        raise ConflictError(f"the label config was edited by hand in Label Studio ({_some(edited)}); what fits the "
                            "published one was taken in, the rest are rejects",
                            hint="rewarddance annotate publish with the same options puts it back")
    return receipts


def _some(projects: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(projects) - _NAMED
    return "; ".join([*projects[:_NAMED], *([f"and {more} more"] if more > 0 else [])])


def _cursor(warehouse: Warehouse, row: Row) -> str:
    mark = warehouse.rows("SELECT value FROM watermarks WHERE name = ?", [f"votes:{row['campaign_id']}"])
    return str(mark[0]["value"]) if mark else ""


def _take_in(warehouse: Warehouse, row: Row, heard: Heard, since: str) -> list[Receipt]:
    """One page: compare, write what is new, move the cursor; its receipt, none where nothing was new."""
    items = row["backend"] == ItemsInLabelStudio.plugin
    published = votes.Published(
        source=source_of(row["name"]) if items else f"campaign:{row['name']}", rater_kind=RATER_KIND,
        guideline_version=row["guideline_version"], dimensions=tuple(json.loads(row["dimensions_json"])),
        tasks=heard.stored.tasks,
    )
    fresh = _fresh(warehouse, published, heard)
    said = bool(fresh.votes or fresh.notes or fresh.faults)
    if not said and heard.cursor == since:
        return []
    receipts = []
    with warehouse.commit(f"sync {row['name']}"):
        if said:
            receipts.append(_store(warehouse, row, published, fresh))
        if heard.cursor != since:
            moved = {"name": f"votes:{row['campaign_id']}", "value": heard.cursor,
                     "updated_at": datetime.now(UTC).replace(tzinfo=None)}
            warehouse.merge("watermarks", [moved], run_id=receipts[0].run_id if receipts else "")
    return receipts


def _fresh(warehouse: Warehouse, published: votes.Published, heard: Heard) -> Heard:
    """What is not in the warehouse yet, word for word."""
    stored = {vote["vote_id"]: vote for vote in heard.stored.votes}
    places = [_place(fault) for fault in heard.faults]
    rejects = {item["location"] + item["detail"] for item in warehouse.rows(_REJECTS, [published.source, places])
               } if places else set()
    named = [_event(note)["event_id"] for note in heard.notes]
    events = {item["event_id"] for item in warehouse.rows(_EVENTS, [named])} if named else set()
    return Heard(
        votes=[vote for vote in heard.votes if not _same(vote, published, stored)],
        notes=[note for note, name in zip(heard.notes, named, strict=True) if name not in events],
        faults=[fault for fault in heard.faults if _place(fault) + fault.detail not in rejects],
    )


def _same(vote: ShownVote, published: votes.Published, stored: Mapping[str, Row]) -> bool:
    if votes.fault(vote, published, frozenset([vote.pair_id])):
        return False
    _, row, _, _ = votes.vote_rows(vote, published)
    there = stored.get(row["vote_id"])
    return there is not None and all(there[name] == row[name] for name in _COMPARED)


def _store(warehouse: Warehouse, row: Row, published: votes.Published, fresh: Heard) -> Receipt:
    said: list[ShownVote | Note | Fault] = [*fresh.votes, *fresh.notes, *fresh.faults]
    heard = sorted([str(part) for part in astuple(item)] for item in said)
    inputs = {"heard": content_id("heard", canonical_json(heard))}

    def body(recorder: Recorder) -> None:
        votes.store(warehouse, recorder, fresh.votes, published)
        recorder.count("read", len(fresh.notes) + len(fresh.faults))
        for fault in fresh.faults:
            recorder.reject(source=published.source, location=_place(fault), reason=fault.reason, detail=fault.detail)
        with warehouse.commit(f"sync {row['name']}"):
            for kind, counted in (("skip", "skips"), ("flag", "flags"), ("regions", "regions")):
                events = [_event(note) for note in fresh.notes if note.kind == kind]
                recorder.count(counted, warehouse.merge("events", events, run_id=recorder.run_id))
            recorder.count("deleted", sum(vote.deleted for vote in fresh.votes))
            warehouse.merge("annotation_tasks", _states(warehouse, published))
        recorder.output("campaign", row["name"])

    return run_stage("sync", SyncConfig(campaign_id=row["campaign_id"]), warehouse, inputs, body)


def _states(warehouse: Warehouse, published: votes.Published) -> list[Row]:
    """Tasks whose state follows from the votes: done where every dimension has one, else published."""
    answered = {item["task_id"]: item["answered"] for item in warehouse.rows(_ANSWERED, [list(published.tasks)])}
    now = {task: "done" if answered.get(task, 0) >= len(published.dimensions) else "published"
           for task in published.tasks}
    return [task | {"state": now[name]} for name, task in published.tasks.items() if task["state"] != now[name]]


def _place(fault: Fault) -> str:
    return f"annotation {fault.annotation} of task {fault.task}"


def _event(note: Note) -> dict[str, Any]:
    rater = annotator_row(RATER_KIND, note.rater)["annotator_id"]
    payload = {"task_id": note.task_id, "annotator_id": rater, "reason": note.reason, "annotation": note.annotation}
    if note.detail_json:
        payload["regions"] = json.loads(note.detail_json)
    return {"event_id": content_id(note.kind, canonical_json(payload)), "kind": note.kind,
            "payload_json": canonical_json(payload), "created_at": note.happened_at}
