"""The Label Studio back end of a campaign: tasks go out as projects, votes come back by a watermark poll.

The cursor is a time of each project by the server's own clock; a poll reads a minute before it again, since a change
may be committed a little later than its time says. It stops a minute after the last change, so that a poll where
nothing happens reads nothing and writes nothing. Media go out as addresses of our own gateway, relative, so that they
hold whatever port it gets.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property

from annotation.backend import Pulled, Task
from annotation.gateway.signing import MediaSigner, own_secret
from annotation.label_studio import labels, projects, state
from annotation.label_studio.answers import RATER_KIND, Heard, hear, moment, stamp
from annotation.label_studio.client import StudioClient
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import content_id
from warehouse.records import Row

PLUGIN = "annotation.label_studio.backend:LabelStudio"
_OVERLAP = timedelta(minutes=1)
_PAST = _OVERLAP + timedelta(seconds=1)
_CAMPAIGNS = "SELECT campaign_id, name, task FROM campaigns WHERE name = ? AND backend = ? ORDER BY created_at DESC"
_KNOWN = "SELECT task_id, pair_id, left_side, backend_ref FROM annotation_tasks WHERE backend_ref LIKE ?"
_STORED = """
SELECT v.task_id, v.annotator_id, v.dimension, v.label, v.seconds, v.created_at, v.updated_at
FROM votes v JOIN annotation_tasks t USING (task_id) WHERE NOT coalesce(v.deleted, false) AND t.backend_ref LIKE ?
"""
_PROJECTS = """
SELECT DISTINCT split_part(backend_ref, ':', 1) AS project, split_part(backend_ref, ':', 3) AS label_config_id
FROM annotation_tasks WHERE campaign_id = ? AND backend_ref IS NOT NULL
"""


class LabelStudio:
    """A campaign, by name, on a Label Studio server; addresses of media hold for `media_days`.

    With `regions` raters may paint on pictures where they are broken.
    """

    rater_kind = RATER_KIND

    def __init__(self, warehouse: Warehouse, campaign: str, media_days: float = 60.0, regions: bool = False) -> None:
        self.name, self.media_days, self.regions = campaign, media_days, regions
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
        groups: dict[labels.Layout, list[Task]] = {}
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
        """Votes since a cursor, which stays: flags, skips and faults are left for `changes`, which hears all again."""
        return Pulled(tuple(self.changes(since).votes), since)

    def changes(self, since: str, full: bool = False) -> Heard:
        """Everything that changed since a cursor, or with `full` all published tasks, by Label Studio's own export.

        `edited` names projects whose label config is no more the published one. Raises NotFoundError for a project
        that was deleted; its votes stay.
        """
        marks: dict[str, str] = json.loads(since) if since else {}
        heard, published = Heard(), self.published()
        people = self._people() if published else {}
        for project, xml in published.items():
            start = marks.get(str(project), "")
            if projects.config_of(self.client, project) != xml:
                heard.edited.append(project)
            begin = stamp(moment(start) - _OVERLAP) if start else ""
            last = self._hear(project, xml, people, None if full else begin, heard)
            marks[str(project)] = max(self._mark(last), start)
        heard.cursor = json.dumps(marks, sort_keys=True)
        return heard

    def published(self) -> dict[int, str]:
        """The XML under which each project of this campaign was published, by project number."""
        if self.campaign is None:
            rows = self._warehouse.rows(_CAMPAIGNS, [self.name, PLUGIN])
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

    def _mark(self, last: str) -> str:
        """Where the next poll begins, for the time of the last change that was heard ("" for none)."""
        if not last:
            return ""
        said = parsedate_to_datetime(self.client.clock) if self.client.clock else datetime.now(UTC)
        now = said.astimezone(UTC).replace(tzinfo=None)
        return stamp(max(min(now, moment(last) + _PAST), moment(last)))

    def _hear(self, project: int, xml: str, people: dict[int, str], begin: str | None, heard: Heard) -> str:
        """Adds one project's changes since a time, or for None all there is; the time of the last one."""
        known = {row["task_id"]: row for row in self._warehouse.rows(_KNOWN, [f"{project}:%"])}
        stored: dict[str, list[Row]] = {}
        for row in self._warehouse.rows(_STORED, [f"{project}:%"]):
            stored.setdefault(row["task_id"], []).append(row)
        if begin is None:
            numbers = sorted(int(row["backend_ref"].split(":")[1]) for row in known.values())
            changed = projects.exported(self.client, project, numbers)
        else:
            changed = projects.tasks_of(self.client, project, "all", begin)
        latest = {task["id"]: task for task in changed}
        hear(latest.values(), known, stored, labels.allowed(xml), people, heard)
        return max((task["updated_at"] for task in latest.values()), default="")

    def _people(self) -> dict[int, str]:
        return {user["id"]: user["email"] for user in self.client.get("/api/users/")}

    def _campaign_of(self, task: Task) -> Row:
        """The campaign whose id is in a task's id: a name may have had several campaigns."""
        for row in self._warehouse.rows(_CAMPAIGNS, [self.name, PLUGIN]):
            if content_id("annotation task", row["campaign_id"], task.pair_id, task.replica) == task.task_id:
                return row
        raise ConfigError(f"no campaign {self.name!r} asks this task", where=task.task_id,
                          hint="backend_options.campaign is the campaign's name")

    def _layout(self, task: Task) -> labels.Layout:
        assert self.campaign is not None
        kind = "video" if self.campaign["task"] in ("t2v", "i2v") else "image"
        condition = labels.CONDITIONS[self.campaign["task"]] if task.condition_media_id else ""
        return labels.Layout(kind, condition, self.regions and kind == "image", task.sensitive)

    def _project(self, layout: labels.Layout, example: Task) -> tuple[int, str]:
        """Number of the layout's project, made or brought to this campaign's questions, and its label_config_id."""
        assert self.campaign is not None
        campaign_id = self.campaign["campaign_id"]
        questions = [{"dimension": name, "title": name.replace("_", " ").capitalize(), "criteria": text}
                     for name, text in zip(example.dimensions, example.criteria, strict=True)]
        xml = labels.build(layout, questions)
        extras = [name for name in ("regions", "sensitive") if getattr(layout, name)]
        key = content_id("layout", layout.media_kind, layout.condition, *extras)[:12]
        project = projects.ensure(self.client, f"rewarddance {campaign_id} {key}", self.name, xml)
        config = content_id("label config", campaign_id, xml)
        there = self._warehouse.rows("SELECT label_config_id FROM label_configs WHERE campaign_id = ?", [campaign_id])
        if config not in {row["label_config_id"] for row in there}:
            row = {"label_config_id": config, "campaign_id": campaign_id, "version": len(there) + 1, "body": xml}
            self._warehouse.merge("label_configs", [row])
        return project.id, config

    def _data(self, task: Task) -> dict[str, str]:
        data = {"prompt": task.prompt, "left": self._address(task.left_media_id),
                "right": self._address(task.right_media_id)}
        if task.condition_media_id:
            data["condition"] = self._address(task.condition_media_id)
        return data

    def _address(self, media_id: str) -> str:
        try:
            return "/media/" + self._signer.sign(media_id, self.media_days * 86400)
        except ValueError as error:
            raise ConfigError(str(error), hint="only media in the store can be shown") from error
