"""What raters may ask: each refusal on its own."""

from __future__ import annotations

import pytest

from annotation.gateway import rules

REFUSED = (
    ("DELETE", "/api/projects/1/"), ("PATCH", "/api/projects/1/"), ("POST", "/api/projects/"),
    ("GET", "/api/projects/"),
    ("GET", "/api/projects/1/export"), ("POST", "/api/projects/1/exports/"), ("POST", "/api/projects/1/import"),
    ("GET", "/api/projects/1/tasks/"), ("GET", "/api/tasks/"), ("DELETE", "/api/tasks/1/"), ("PATCH", "/api/tasks/1/"),
    ("GET", "/api/tasks/1/annotations/"), ("DELETE", "/api/annotations/1/"), ("GET", "/api/dm/tasks/"),
    ("POST", "/api/dm/views/"), ("DELETE", "/api/dm/views/1/"), ("PATCH", "/api/dm/views/2/"),
    ("GET", "/api/dm/views/1/"),
    ("GET", "/api/users/2/"), ("PATCH", "/api/users/1/"), ("DELETE", "/api/users/1/"), ("POST", "/api/users/"),
    ("GET", "/api/current-user/token"), ("POST", "/api/current-user/reset-token/"), ("GET", "/api/token/"),
    ("GET", "/api/organizations/"), ("GET", "/api/invite"), ("GET", "/api/webhooks/"), ("POST", "/api/webhooks/"),
    ("GET", "/projects/"), ("GET", "/projects/1/settings/"), ("GET", "/projects/1/data/export"),
    ("GET", "/projects/1/data/import"), ("GET", "/people/"), ("GET", "/user/account/"), ("GET", "/user/login/"),
    ("GET", "/admin/"), ("GET", "/data/upload/1/x.png"), ("GET", "/api/storages/"), ("POST", "/api/ml/"),
    ("GET", "/static/../api/projects/"), ("GET", "/static/%2e%2e/api/projects/"), ("GET", "//api/projects/1"),
)


@pytest.mark.parametrize(("method", "path"), REFUSED, ids=[f"{method} {path}" for method, path in REFUSED])
def test_refused(method: str, path: str) -> None:
    assert rules.judge(method, path, {}) is None


@pytest.mark.parametrize("action", ["delete_tasks", "delete_tasks_annotations", "retrieve_tasks_predictions", "", None])
def test_of_the_data_managers_actions_only_the_next_task_passes(action: str | None) -> None:
    query = {"project": "3"} | ({"id": action} if action is not None else {})
    assert rules.judge("POST", "/api/dm/actions/", query) is None


def test_what_the_page_needs_passes() -> None:
    assert rules.judge("GET", "/api/tasks", {"view": "1", "project": "3"}) == rules.Allowed(rules.NO_TASKS)
    query = {"id": "next_task", "project": "3"}
    assert rules.judge("POST", "/api/dm/actions/", query) == rules.Allowed(rules.NEXT, 3)
    assert rules.judge("POST", "/api/dm/actions", {"id": "next_task", "project": "3;"}) is None
    assert rules.judge("GET", "/projects/7/data/", {"labeling": "1"}) == rules.Allowed(rules.PAGE, 7)
    assert rules.judge("POST", "/api/tasks/5/annotations/", {}) == rules.Allowed(rules.SUBMIT, 5)
    assert rules.judge("PATCH", "/api/annotations/9/", {}) == rules.Allowed(rules.EDIT, 9)
    assert rules.judge("HEAD", "/static/js/main.js", {}) == rules.Allowed(rules.ASSET)
