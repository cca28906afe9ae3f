"""Who may work on which campaign: raters who passed its admission, where it has one, and who are not paused.

What raters did is read from annotator_events and kept, so that a request is judged without a query; `refresh` is called
after every test, and now and then because pauses come from elsewhere (consensus, quality, `annotate resume`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from annotation.exam import rules_of
from annotation.label_studio.answers import RATER_KIND
from warehouse import Warehouse
from warehouse.records import annotator_row

Standing = Literal["", "qualify", "refused", "paused"]
_EVENTS = """
SELECT annotator_id, kind, task, dimension FROM annotator_events
WHERE kind IN ('admitted', 'refused', 'paused', 'resumed') ORDER BY happened_at, event_id
"""


def person(email: str) -> str:
    """The annotator's id of a rater's account."""
    return str(annotator_row(RATER_KIND, email)["annotator_id"])


class Door:
    """Standings of all raters, as they were at the last `refresh`."""

    def __init__(self) -> None:
        self._events: dict[str, list[tuple[str, str | None, str | None]]] = {}

    def refresh(self, warehouse: Warehouse) -> None:
        """Read what happened to whom; an event without task or dimension is for all of them."""
        found: dict[str, list[tuple[str, str | None, str | None]]] = {}
        for row in warehouse.rows(_EVENTS):
            found.setdefault(row["annotator_id"], []).append((row["kind"], row["task"], row["dimension"]))
        self._events = found

    def standing(self, email: str, campaign: Mapping[str, Any]) -> Standing:
        """"" where the rater may work on a campaign (row of campaigns), else what stands in the way."""
        dimensions = json.loads(campaign["dimensions_json"])
        latest = [self._latest(person(email), campaign["task"], dimension) for dimension in dimensions]
        if "paused" in latest:
            return "paused"
        if rules_of(campaign) is None:
            return ""
        if "refused" in latest:
            return "refused"
        return "" if set(latest) <= {"admitted", "resumed"} else "qualify"

    def _latest(self, annotator_id: str, task: str, dimension: str) -> str:
        kinds = [kind for kind, of_task, of_dimension in self._events.get(annotator_id, ())
                 if of_task in (None, task) and of_dimension in (None, dimension)]
        return kinds[-1] if kinds else ""
