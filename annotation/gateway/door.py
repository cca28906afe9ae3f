"""Who may work on which campaign: raters who passed its admission, where it has one, and who are not paused.

What raters did is read from annotator_events and kept, so that a request is judged without a query; `refresh` is called
after every test, and now and then because pauses come from elsewhere (consensus, quality, `annotate resume`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from annotation.admission import Happened, happened, standing
from annotation.exam import rules_of
from annotation.label_studio.answers import RATER_KIND
from warehouse import Warehouse
from warehouse.records import annotator_row

Obstacle = Literal["", "qualify", "refused", "paused"]


def person(email: str) -> str:
    """The annotator's id of a rater's account."""
    return str(annotator_row(RATER_KIND, email)["annotator_id"])


class Door:
    """What happened to all raters, as it was at the last `refresh`."""

    def __init__(self) -> None:
        self._events: dict[str, list[Happened]] = {}

    def refresh(self, warehouse: Warehouse) -> None:
        """Read it anew."""
        self._events = happened(warehouse)

    def obstacle(self, email: str, campaign: Mapping[str, Any]) -> Obstacle:
        """"" where the rater may work on a campaign (row of campaigns), else what stands in the way."""
        dimensions = json.loads(campaign["dimensions_json"])
        found = standing(self._events.get(person(email), ()), campaign["task"], dimensions)
        if found == "paused":
            return "paused"
        if found == "admitted" or rules_of(campaign) is None:
            return ""
        return found or "qualify"
