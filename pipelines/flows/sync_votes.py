"""The flow `sync-votes`: what raters answered becomes votes, on a schedule (prefect.yaml), under Prefect's retries.

It holds no logic: the sync reads its own cursor from the warehouse, and a run with nothing new writes nothing. `full`
is the nightly reconciliation against an export of everything.
"""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger

from annotation.label_studio.sync import sync, totals
from warehouse import open_warehouse
from warehouse.errors import RejectLimitError


@flow(name="sync-votes", retries=2, retry_delay_seconds=60)
def sync_votes(warehouse: str, campaign: str = "", full: bool = False) -> dict[str, Any]:
    """One sync of a warehouse; the answer of `annotate sync`. Raises what the sync raises, and RejectLimitError."""
    with open_warehouse(warehouse) as opened:
        answer = totals(sync(opened, campaign, full))
    get_run_logger().info("%s", ", ".join(f"{name} {value}" for name, value in answer.items()))
    if answer["over_limit"]:
        raise RejectLimitError("most of what raters answered does not fit the published page",
                               hint="rewarddance sql \"SELECT * FROM rejects WHERE stage = 'sync'\"")
    return answer
