"""Label Studio's webhooks ring the gateway's bell where something was changed past it: edited or deleted by the owner.

New answers ring as they pass the gateway, since a delivery happens within the rater's request and may cost a second.
There is one hook in each project that was published; Label Studio takes none for all projects at once (404), and one
that names a private address only where its settings allow that. A hook that is refused loses nothing, since the poll
hears everything; it is for the caller to say so.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from annotation.gateway.signing import own_secret
from annotation.label_studio.client import StudioClient
from annotation.label_studio.projects import config_of
from warehouse import Warehouse
from warehouse.errors import ConfigError, NotFoundError

_ACTIONS = ["ANNOTATION_UPDATED", "ANNOTATIONS_DELETED"]
_HEADER = "X-RewardDance-Secret"
_PROJECTS = """
SELECT DISTINCT split_part(backend_ref, ':', 1)::INT AS project FROM annotation_tasks
WHERE label_config_id IS NOT NULL AND backend_ref IS NOT NULL ORDER BY project
"""


def secret_of(place: Path) -> str:
    """What Label Studio must send with each webhook."""
    return own_secret(place / "webhook.key").hex()


def projects_of(warehouse: Warehouse) -> list[int]:
    """Numbers of all projects that were published."""
    return [row["project"] for row in warehouse.rows(_PROJECTS)]


def register(client: StudioClient, place: Path, gateway_url: str, projects: Iterable[int]) -> str:
    """Let changes in these projects ring the bell; why the server refuses, "" where it does not.

    Hooks with another address of ours go; projects that are gone are left out. Raises BackendError.
    """
    there = [hook for hook in client.get("/api/webhooks/") if _HEADER in hook["headers"]]
    for project in projects:
        wanted: dict[str, Any] = {"project": project, "url": f"{gateway_url}/webhook", "send_payload": False,
                                  "send_for_all_actions": False, "headers": {_HEADER: secret_of(place)},
                                  "actions": _ACTIONS}
        ours = [hook for hook in there if hook["project"] == project]
        same = [hook for hook in ours if all(hook[name] == wanted[name] for name in ("url", "headers"))]
        try:
            for hook in ours:
                if hook not in same:
                    client.send("DELETE", f"/api/webhooks/{hook['id']}/")
            if not same and config_of(client, project):
                client.send("POST", "/api/webhooks/", wanted)
        except NotFoundError:
            continue
        except ConfigError as error:
            return error.message
    return ""
