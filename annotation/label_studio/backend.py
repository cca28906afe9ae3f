"""The Label Studio back end of a campaign: tasks go out as projects, votes come back by a watermark poll.

The cursor holds a mark of each project (poll.py). Media go out as addresses of our own gateway, relative, so that they
hold whatever port it gets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from annotation.admission import AdmissionRules
from annotation.backend import Pulled, Task
from annotation.gateway.signing import MediaSigner, own_secret
from annotation.items import ItemTask
from annotation.label_studio import labels, projects, state
from annotation.label_studio.answers import RATER_KIND, Heard, Stored, hear
from annotation.label_studio.client import StudioClient
from annotation.label_studio.poll import Mark, poll
from warehouse import Warehouse
from warehouse.errors import ConfigError, NotFoundError
from warehouse.hashing import content_id
from warehouse.records import Row

PLUGIN = "annotation.label_studio.backend:LabelStudio"
# Both back ends that are campaigns here: pairs, and single items (items.py).
PLUGINS = (PLUGIN, "annotation.label_studio.items:ItemsInLabelStudio")
Wanted = Literal["changed", "answered", "all"]
_CAMPAIGNS = "SELECT campaign_id, name, task FROM campaigns WHERE name = ? AND backend = ? ORDER BY created_at DESC"
_TASKS = "SELECT * FROM annotation_tasks WHERE task_id IN (SELECT unnest(?::VARCHAR[])) AND backend_ref LIKE ?"
_VOTES = "SELECT * FROM votes WHERE task_id IN (SELECT unnest(?::VARCHAR[]))"
_NUMBERS = """
SELECT split_part(backend_ref, ':', 2)::BIGINT AS number FROM annotation_tasks WHERE backend_ref LIKE ? ORDER BY number
"""
_PROJECTS = """
SELECT DISTINCT split_part(backend_ref, ':', 1) AS project, split_part(backend_ref, ':', 3) AS label_config_id
FROM annotation_tasks WHERE campaign_id = ? AND backend_ref IS NOT NULL
"""


class LabelStudio:
    """A campaign, by name, on a Label Studio server; addresses of media hold for `media_days`.

    With `regions` raters may paint on pictures where they are broken; `admission` (AdmissionRules, {} for 8 of 10) is
    the test that the gateway asks of them first.
    """

    rater_kind = RATER_KIND
    plugin = PLUGIN

    def __init__(self, warehouse: Warehouse, campaign: str, media_days: float = 60.0, regions: bool = False,
                 admission: Mapping[str, int] | None = None) -> None:
        self.name, self.media_days, self.regions = campaign, media_days, regions
        self.admission = None if admission is None else AdmissionRules.model_validate(admission)
        self._warehouse = warehouse
        self._folder = state.folder(warehouse.root)
        self._signer = MediaSigner(own_secret(self._folder / "media.key"))
        self.campaign: Row | None = None

    @cached_property
    def client(self) -> StudioClient:
        """The connection, opened on first use."""
        return state.connect(self._folder)

    def publish(self, tasks: Sequence[Task]) -> list[str]:
        """`project:task:label config` for each task; what is on the server is not added again."""
        return self._publish(tasks)

    def _publish(self, tasks: Sequence[Task] | Sequence[ItemTask]) -> list[str]:
        groups: dict[labels.Layout, list[Task | ItemTask]] = {}
        self.campaign = self._campaign_of(tasks[0]) if tasks else None
        for task in tasks:
            groups.setdefault(self._layout(task), []).append(task)
        references: dict[str, str] = {}
        for layout, members in groups.items():
            project, config = self._project(layout, members[0])
            numbers = projects.fill(self.client, project, {task.task_id: self._data(task) for task in members})
            references |= {ref: f"{project}:{number}:{config}" for ref, number in numbers.items()}
        return [references[task.task_id] for task in tasks]

    def pull(self, since: str) -> Pulled:
        """Votes since a cursor, which stays: all but votes is left for the sync, which hears these again too."""
        return Pulled(tuple(vote for heard in self.changes(since, "answered") for vote in heard.votes), since)

    def changes(self, since: str, which: Wanted = "changed") -> Iterator[Heard]:
        """Everything that changed since a cursor, or all published tasks, by Label Studio's own export.

        It comes a page at a time, compared with what is stored as the page comes, each with the cursor that holds once
        the page was taken in. `edited` names projects whose label config is no more the published one, `gone` those
        that were deleted on the server; their votes stay.
        """
        marks: dict[str, Any] = json.loads(since) if since else {}
        for project, xml in self.published().items():
            start = Mark.read(marks.get(str(project)))
            try:
                for heard, mark in self._hear(project, xml, start, which):
                    marks[str(project)] = mark.plain()
                    heard.cursor = json.dumps(marks, sort_keys=True)
                    yield heard
            except NotFoundError:
                yield Heard(cursor=json.dumps(marks, sort_keys=True), gone=[project])

    def published(self) -> dict[int, str]:
        """The XML under which each project of this campaign was published, by project number."""
        if self.campaign is None:
            rows = self._warehouse.rows(_CAMPAIGNS, [self.name, self.plugin])
            self.campaign = rows[0] if rows else None
        named = self._warehouse.rows(_PROJECTS, [self.campaign["campaign_id"]]) if self.campaign else []
        bodies = {row["label_config_id"]: row["body"] for row in self._warehouse.rows("SELECT * FROM label_configs")}
        return {int(row["project"]): bodies[row["label_config_id"]] for row in named}

    def restore(self) -> list[int]:
        """Give projects whose label config was edited by hand the published one again; their numbers."""
        edited = [(project, xml) for project, xml in self.published().items()
                  if projects.config_of(self.client, project) != xml]
        for project, xml in edited:
            self.client.send("PATCH", f"/api/projects/{project}/", {"label_config": xml})
        return [project for project, _ in edited]

    def _hear(self, project: int, xml: str, start: Mark, which: Wanted) -> Iterator[tuple[Heard, Mark]]:
        """A project's changes page by page, each with the mark that holds once it was taken in; the last page is empty.

        An export says nothing of the time at which a task was read, so it leaves the mark where it is.
        """
        edited = [project] if projects.config_of(self.client, project) != xml else []
        controls, mark = labels.allowed(xml), start
        for page, mark in self._pages(project, start, which):
            if page:
                heard = Heard(stored=self._stored(project, page))
                hear(page, heard.stored, controls, self._people, heard)
                yield heard, mark
        yield Heard(edited=edited), mark

    def _pages(self, project: int, start: Mark, which: Wanted) -> Iterator[tuple[projects.Page, Mark]]:
        if which != "all":
            return poll(self.client, project, start, "total_annotations" if which == "answered" else "")
        numbers = [row["number"] for row in self._warehouse.rows(_NUMBERS, [f"{project}:%"])]
        return ((page, start) for page in projects.exported(self.client, project, numbers))

    def _stored(self, project: int, tasks: Iterable[Mapping[str, Any]]) -> Stored:
        """What the warehouse has of these tasks of the server."""
        refs = [str(task["data"].get("ref", "")) for task in tasks]
        known = {row["task_id"]: row for row in self._warehouse.rows(_TASKS, [refs, f"{project}:%"])}
        return Stored(known, self._warehouse.rows(_VOTES, [list(known)]))

    @cached_property
    def _people(self) -> dict[int, str]:
        """Who the server's users are; a poll without news does not ask."""
        return {user["id"]: user["email"] for user in self.client.get("/api/users/")}

    def _campaign_of(self, task: Task | ItemTask) -> Row:
        """The campaign whose id is in a task's id: a name may have had several campaigns."""
        what = ("item task", task.candidate_id) if isinstance(task, ItemTask) else ("annotation task", task.pair_id)
        for row in self._warehouse.rows(_CAMPAIGNS, [self.name, self.plugin]):
            if content_id(what[0], row["campaign_id"], what[1], task.replica) == task.task_id:
                return row
        raise ConfigError(f"no campaign {self.name!r} asks this task", where=task.task_id,
                          hint="backend_options.campaign is the campaign's name")

    def _layout(self, task: Task | ItemTask) -> labels.Layout:
        assert self.campaign is not None
        kind, item = "video" if self.campaign["task"] in ("t2v", "i2v") else "image", isinstance(task, ItemTask)
        condition = labels.CONDITIONS[self.campaign["task"]] if task.condition_media_id else ""
        return labels.Layout(kind, condition, self.regions and kind == "image" and not item, task.sensitive, item)

    def _project(self, layout: labels.Layout, example: Task | ItemTask) -> tuple[int, str]:
        """Number of the layout's project, made or brought to this campaign's questions, and its label_config_id."""
        assert self.campaign is not None
        campaign_id = self.campaign["campaign_id"]
        questions = [{"dimension": name, "title": name.replace("_", " ").capitalize(), "criteria": text}
                     for name, text in zip(example.dimensions, example.criteria, strict=True)]
        xml = labels.build(layout, questions)
        extras = [name for name in ("regions", "sensitive", "item") if getattr(layout, name)]
        key = content_id("layout", layout.media_kind, layout.condition, *extras)[:12]
        project = projects.ensure(self.client, f"rewarddance {campaign_id} {key}", self.name, xml)
        config = content_id("label config", campaign_id, xml)
        there = self._warehouse.rows("SELECT label_config_id FROM label_configs WHERE campaign_id = ?", [campaign_id])
        if config not in {row["label_config_id"] for row in there}:
            row = {"label_config_id": config, "campaign_id": campaign_id, "version": len(there) + 1, "body": xml}
            self._warehouse.merge("label_configs", [row])
        return project.id, config

    def _data(self, task: Task | ItemTask) -> dict[str, str]:
        media = {"condition": task.condition_media_id} if task.condition_media_id else {}
        if isinstance(task, ItemTask):
            media["item"] = task.media_id
        else:
            media |= {"left": task.left_media_id, "right": task.right_media_id}
        return {"prompt": task.prompt} | {name: self._address(media_id) for name, media_id in media.items()}

    def _address(self, media_id: str) -> str:
        try:
            return "/media/" + self._signer.sign(media_id, self.media_days * 86400)
        except ValueError as error:
            raise ConfigError(str(error), hint="only media in the store can be shown") from error
