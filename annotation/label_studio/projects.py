"""One Label Studio project for each layout of a campaign: found by its mark, made, updated, filled in bulk.

The mark stands in the project's description and the task's id in its data, so that what is on the server, and not our
own memory, decides what is added: a publication killed anywhere and repeated adds what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.label_studio.client import StudioClient
from warehouse.errors import BackendError

_IMPORT = 1000
_PAGE = 600
# What is asked of a task: the server's own choice, and names, which cost it a third of all. The names of the fields of
# an annotation stand in the same list.
_FIELDS = {"stamps": ("task_only", "id,updated_at"), "task_only": ("task_only", "id,updated_at,data"),
           "all": ("all", "id,updated_at,data,annotations,result,completed_by,was_cancelled,created_at,lead_time")}
_EXPORT = 300
Page = list[dict[str, Any]]


@dataclass(frozen=True)
class Project:
    """A project on the server; `config` is the XML that stands there now."""

    id: int
    config: str


def find(client: StudioClient, mark: str) -> Project | None:
    """The project whose description is the mark."""
    page = 1
    while True:
        answer = client.get("/api/projects/", page=page, page_size=100, include="id,description,label_config")
        for row in answer["results"]:
            if row["description"] == mark:
                return Project(row["id"], row["label_config"])
        if not answer.get("next"):
            return None
        page += 1


def ensure(client: StudioClient, mark: str, title: str, xml: str) -> Project:
    """The project with this mark and this XML, made or updated; one answer a task, since each showing is a task."""
    there = find(client, mark)
    # A title has 3 to 50 characters.
    named = title[:50] if len(title) > 2 else f"Campaign {title}"
    body = {"title": named, "description": mark, "label_config": xml, "maximum_annotations": 1,
            "show_skip_button": True, "enable_empty_annotation": False, "show_annotation_history": False,
            "show_collab_predictions": False, "skip_queue": "IGNORE_SKIPPED"}
    if there is None:
        return Project(client.send("POST", "/api/projects/", body)["id"], xml)
    if there.config != xml:
        client.send("PATCH", f"/api/projects/{there.id}/", {"label_config": xml})
    return Project(there.id, xml)


def config_of(client: StudioClient, project: int) -> str:
    """The XML that stands on the server now; NotFoundError where the project is gone."""
    return str(client.get(f"/api/projects/{project}/", include="id,label_config")["label_config"])


def exported(client: StudioClient, project: int, numbers: Sequence[int]) -> Iterator[Page]:
    """Tasks with annotations as Label Studio's export gives them, some at a time; tasks that are gone are left out."""
    for start in range(0, len(numbers), _EXPORT):
        wanted = {"exportType": "JSON", "download_all_tasks": "true", "ids[]": numbers[start : start + _EXPORT]}
        yield client.get(f"/api/projects/{project}/export", **wanted)


def named(client: StudioClient, project: int, numbers: Sequence[int]) -> Iterator[Page]:
    """Tasks with annotations by their numbers, some at a time; those that are gone are left out."""
    for start in range(0, len(numbers), _EXPORT):
        chosen = list(numbers[start : start + _EXPORT])
        query = {"selectedItems": {"all": False, "included": chosen}}
        if found := _ask(client, project, "all", query, len(chosen))[0]:
            yield found


def pages_of(client: StudioClient, project: int, fields: str, changed_since: str = "", before: str = "",
             having: str = "") -> Iterator[Page]:
    """Tasks in the order of their last change, each at least once, some at a time.

    `fields` is `stamps` (numbers and times alone), `task_only`, or `all`, which brings annotations; `before` leaves out
    what changed then or later, and `having` (`total_annotations`, answers, or
    `cancelled_annotations`, skips) leaves out tasks that have none of them.

    Pages are asked for by time, not by number: while raters work, tasks move to the end and numbered pages would
    leave some out. Where one moment fills a whole page (a bulk import), the page is made larger.
    """
    since, size = changed_since, _PAGE
    seen: set[int] = set()
    while True:
        filters = {"conjunction": "and", "items": _filters(since, before, having)}
        rows, matching = _ask(client, project, fields, {"ordering": ["tasks:updated_at"], "filters": filters}, size)
        fresh = [row for row in rows if row["updated_at"] != since or row["id"] not in seen]
        if fresh:
            yield fresh
        if len(rows) >= matching:
            return
        last = rows[-1]["updated_at"] if rows else since
        if last != since:
            # Only what changed in the moment where the next page begins can come twice.
            seen = {row["id"] for row in rows if row["updated_at"] == last}
            since, size = last, _PAGE
        elif len(rows) == size:
            seen |= {row["id"] for row in rows}
            size *= 2
        else:
            raise BackendError(f"project {project} has {matching} tasks of one moment and shows {len(rows)}",
                               where=client.url, hint="raise TASK_API_PAGE_SIZE_MAX on the server")


def tasks_of(client: StudioClient, project: int, fields: str, changed_since: str = "",
             having: str = "") -> Iterator[dict[str, Any]]:
    """The tasks of `pages_of`, one by one."""
    for page in pages_of(client, project, fields, changed_since, having=having):
        yield from page


def _filters(since: str, before: str, having: str) -> list[dict[str, Any]]:
    """The Data Manager's filters: changed at `since` or later, before `before` ("" for any time), some of `having`."""
    asked = (("updated_at", "greater_or_equal", "Datetime", since), ("updated_at", "less", "Datetime", before),
             (having, "greater", "Number", 0 if having else ""))
    return [{"filter": f"filter:tasks:{name}", "operator": operator, "type": kind, "value": value}
            for name, operator, kind, value in asked if value != ""]


def _ask(client: StudioClient, project: int, fields: str, query: Mapping[str, Any], size: int) -> tuple[Page, int]:
    """The first `size` tasks of a query of the Data Manager, and how many there are."""
    kind, include = _FIELDS[fields]
    answer = client.get("/api/tasks/", project=project, fields=kind, include=include, page=1, page_size=size,
                        query=json.dumps(query))
    return answer["tasks"], int(answer["total"])


def fill(client: StudioClient, project: int, data: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Import the tasks (task id -> task data) that are not there; the server's id of each task id."""
    there = {row["data"]["ref"]: int(row["id"]) for row in tasks_of(client, project, "task_only")} if data else {}
    missing = [ref for ref in data if ref not in there]
    for start in range(0, len(missing), _IMPORT):
        there |= _import(client, project, missing[start : start + _IMPORT], data)
    return {ref: there[ref] for ref in data}


def item(ref: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A task as it is imported; its id in our warehouse goes with it."""
    return {"data": {"ref": ref, **data}}


def _import(client: StudioClient, project: int, refs: Sequence[str], data: Mapping[str, Mapping[str, Any]]) -> Any:
    body = [item(ref, data[ref]) for ref in refs]
    answer = client.send("POST", f"/api/projects/{project}/import", body, return_task_ids=True, commit_to_project=True)
    ids = answer.get("task_ids") or []
    if len(ids) != len(refs):
        raise BackendError(f"project {project} took {len(ids)} of {len(refs)} tasks", where=client.url,
                           hint="run the same command again: what is there is not added twice")
    return dict(zip(refs, ids, strict=True))
