"""What the gateway knows of the campaigns: their queues, kept up to date from the warehouse and from Label Studio."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from annotation.gateway.queue import Queue, Showing
from annotation.label_studio import state
from annotation.label_studio.answers import moment, stamp
from annotation.label_studio.backend import PLUGINS
from annotation.label_studio.client import StudioClient
from annotation.label_studio.projects import tasks_of
from warehouse import open_warehouse
from warehouse.errors import NotFoundError
from warehouse.place import find_place
from warehouse.records import Row

_REFRESH_S = 10.0
_SHOWINGS = """
SELECT split_part(t.backend_ref, ':', 1)::INT AS project, split_part(t.backend_ref, ':', 2)::INT AS number,
    coalesce(t.pair_id, t.candidate_id) AS shown, t.replica, t.campaign_id
FROM annotation_tasks t JOIN campaigns c USING (campaign_id)
WHERE c.backend IN (SELECT unnest(?::VARCHAR[])) AND t.backend_ref IS NOT NULL AND (? = 0 OR t.backend_ref LIKE ?)
"""
# Columns of a task in which Label Studio gathers what others said.
_HIDDEN: dict[str, Any] = {
    "annotators": [], "comment_authors": [], "updated_by": [], "predictions": [], "annotations_results": "",
    "annotations_ids": "", "predictions_results": "", "avg_lead_time": None, "completed_at": None,
    "draft_exists": False, "cancelled_annotations": 0,
}
_CAMPAIGNS = "SELECT * FROM campaigns WHERE backend IN (SELECT unnest(?::VARCHAR[]))"


def is_flag(result: list[dict[str, Any]]) -> bool:
    """True where an annotation's result flags the task instead of judging it."""
    return any(item.get("from_name") == "flag" for item in result)


@dataclass(frozen=True)
class Look:
    """What one look found of a project: its campaign's row, its tasks, and those that changed on the server."""

    campaign: Row
    showings: list[Showing]
    changed: list[dict[str, Any]]
    began: float


class Desk:
    """Queues by project number. `look` blocks and runs in a thread; `take` puts what it found into the queues."""

    def __init__(self, warehouse: str) -> None:
        self.warehouse = warehouse
        self.queues: dict[int, Queue] = {}
        self.campaigns: dict[int, Row] = {}
        self._marks: dict[int, str] = {}
        self._looked: dict[int, float] = {}

    def stale(self, project: int) -> bool:
        """True where the last look at a project (0: at all) was a while ago: tasks may have been published since."""
        at_all = self._looked.get(0, -math.inf) if project in self.queues else -math.inf
        return time.monotonic() - max(self._looked.get(project, -math.inf), at_all) > _REFRESH_S

    def look(self, only: int = 0) -> dict[int, Look | None]:
        """Published tasks of the warehouse, and what the server changed since the last look, in one project or all.

        A project that was deleted on the server is None, so that it stops nobody's other work. Raises BackendError or
        ConfigError.
        """
        began = time.monotonic()
        with open_warehouse(self.warehouse) as opened:
            rows = opened.rows(_SHOWINGS, [list(PLUGINS), only, f"{only}:%"])
            campaigns = {row["campaign_id"]: row for row in opened.rows(_CAMPAIGNS, [list(PLUGINS)])}
        found: dict[int, Look] = {}
        for row in rows:
            seen = found.setdefault(row["project"], Look(campaigns[row["campaign_id"]], [], [], began))
            seen.showings.append(Showing(row["number"], row["shown"], row["replica"]))
        client = state.connect(state.folder(find_place(self.warehouse).root))
        try:
            return {project: seen if self._hear(client, project, seen) else None for project, seen in found.items()}
        finally:
            client.close()

    def _hear(self, client: StudioClient, project: int, seen: Look) -> bool:
        """Adds what changed in a project to `seen`; False where it is gone.

        The first time, only tasks that somebody answered or skipped: of the others there is nothing to know, and raters
        wait for this look.
        """
        begin = self._marks.get(project, "")
        since = stamp(moment(begin) - timedelta(minutes=1)) if begin else ""
        try:
            for having in ("",) if since else ("total_annotations", "cancelled_annotations"):
                seen.changed.extend(tasks_of(client, project, "all", since, having))
        except NotFoundError:
            return False
        return True

    def take(self, found: Mapping[int, Look | None], only: int = 0) -> None:
        """Bring the queues up to date with a look; those of projects that are gone go."""
        self._looked[only] = time.monotonic()
        for project, seen in found.items():
            if seen is None:
                self.queues.pop(project, None)
                continue
            self.campaigns[project] = seen.campaign
            queue = self.queues.setdefault(project, Queue())
            queue.load(seen.showings)
            for task in seen.changed:
                flagged = {item["id"]: is_flag(item["result"] or []) for item in task["annotations"] or []}
                queue.hear(task, flagged, seen.began)
                self._marks[project] = max(self._marks.get(project, ""), task["updated_at"])

    def history(self, project: int, rater: int) -> list[dict[str, int]]:
        """What a rater did in a project, oldest first: the page's way back to earlier answers."""
        made = self.queues[project].made.get(rater, {}) if project in self.queues else {}
        return [{"taskId": task, "annotationId": annotation} for task, annotation in made.items()]

    def project_of(self, task: int) -> int:
        """The project that holds a task, 0 for none of ours."""
        return next((project for project, queue in self.queues.items() if task in queue.showings), 0)


def without_others(task: dict[str, Any], rater: int) -> dict[str, Any]:
    """A task as one rater may see it: their own annotations and drafts, nobody's predictions, no counts of others."""
    own = [item for item in task.get("annotations") or [] if _by(item, "completed_by") == rater]
    drafts = [item for item in task.get("drafts") or [] if _by(item, "user", "created_username") == rater]
    kept = {name: _HIDDEN.get(name, value) for name, value in task.items()}
    return kept | {"annotations": own, "drafts": drafts, "total_annotations": len(own)}


def _by(item: dict[str, Any], *names: str) -> Any:
    value = next((item[name] for name in names if name in item), None)
    return value["id"] if isinstance(value, dict) else value


def body_is_pass(body: bytes) -> bool:
    """True where a submitted annotation skips or flags its task."""
    sent = json.loads(body or b"{}")
    return bool(sent.get("was_cancelled")) or is_flag(sent.get("result") or [])
