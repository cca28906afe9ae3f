"""What a rater may ask of Label Studio. Everything that is not named here is refused.

The community edition has no roles: whoever has an account may delete projects and read everybody's answers. So the
gateway passes what the labelling page needs, answers some of its questions itself (`own`, `nothing`), and lets a rater
reach only tasks that were given to them and annotations that are theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# How a request is handled: see app.py.
PASS, ASSET, PAGE, NEXT, TASK, SUBMIT, EDIT, DRAFT, OWN_USER, NOTHING, VIEWS, SAVED_VIEW, NO_TASKS, HISTORY = (
    "pass", "asset", "page", "next", "task", "submit", "edit", "draft", "own_user", "nothing", "views", "saved_view",
    "no_tasks", "history",
)


@dataclass(frozen=True)
class Allowed:
    """A request that passes: how, and the number of the project, task, annotation or draft in its path."""

    way: str
    number: int = 0


_RULES: tuple[tuple[str, str, str], ...] = (
    ("GET", r"/static/[\w./@~-]+", ASSET),
    ("GET", r"/(?:react-app|dm|label-studio-frontend)/[\w./@~-]+", ASSET),
    ("GET", r"/(?:favicon|images)[\w./-]*", ASSET),
    ("GET", r"/projects/(\d+)/data/?", PAGE),
    ("GET", r"/api/projects/(\d+)/?", PASS),
    ("GET", r"/api/projects/(\d+)/next/?", NEXT),
    ("GET", r"/api/projects/(\d+)/label-stream-history/?", HISTORY),
    ("GET", r"/api/dm/project/?", PASS),
    ("GET", r"/api/dm/columns/?", PASS),
    ("GET", r"/api/dm/views/?", VIEWS),
    ("PATCH", r"/api/dm/views/(1)/?", SAVED_VIEW),
    ("GET", r"/api/dm/actions/?", NOTHING),
    ("GET", r"/api/(?:dm/)?tasks/(\d+)/?", TASK),
    ("POST", r"/api/tasks/(\d+)/annotations/?", SUBMIT),
    ("POST", r"/api/tasks/(\d+)/drafts/?", TASK),
    ("GET", r"/api/annotations/(\d+)/?", EDIT),
    ("PATCH", r"/api/annotations/(\d+)/?", EDIT),
    ("POST", r"/api/tasks/\d+/annotations/(\d+)/drafts/?", EDIT),
    ("PATCH", r"/api/drafts/(\d+)/?", DRAFT),
    ("DELETE", r"/api/drafts/(\d+)/?", DRAFT),
    ("GET", r"/api/users/?", OWN_USER),
    ("GET", r"/api/current-user/(?:whoami|hotkeys|product-tour)/?", PASS),
    ("GET", r"/api/version/?", PASS),
    ("GET", r"/api/label_links/?", NOTHING),
    ("GET", r"/api/ml/?", NOTHING),
)
_COMPILED = tuple((method, re.compile(pattern), way) for method, pattern, way in _RULES)
# The page lists the tasks of its view before it shows the first one; we answer with an empty list.
_LIST = re.compile(r"/api/tasks/?")
_NEXT_ACTION = re.compile(r"/api/dm/actions/?")


def judge(method: str, path: str, query: Mapping[str, str]) -> Allowed | None:
    """How a rater's request is handled, None where it is refused; HEAD counts as GET."""
    if ".." in path or "//" in path or "%" in path or "\\" in path:
        return None
    asked = "GET" if method == "HEAD" else method
    if asked == "POST" and _NEXT_ACTION.fullmatch(path) and query.get("id") == "next_task":
        project = query.get("project", "")
        return Allowed(NEXT, int(project)) if project.isdecimal() else None
    if asked == "GET" and _LIST.fullmatch(path) and "view" in query:
        return Allowed(NO_TASKS)
    for rule_method, pattern, way in _COMPILED:
        found = pattern.fullmatch(path) if rule_method == asked else None
        if found:
            return Allowed(way, int(found.group(1)) if found.groups() else 0)
    return None
