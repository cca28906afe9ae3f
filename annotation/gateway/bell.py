"""The bell: whoever rings it wakes a sync, soon, and not more often than raters can bear."""

from __future__ import annotations

import asyncio
import logging
import time

from annotation.label_studio.sync import sync
from warehouse import open_warehouse
from warehouse.errors import RewardDanceError

_LOG = logging.getLogger("rewarddance.gateway")
_LEAST_PAUSE_S = 2.0
# Raters' requests come first: syncs take a tenth of the time at most.
_PAUSE_PER_SYNC = 9.0


class Bell:
    """Rung by raters' answers and the webhook; rings that come while a sync waits or runs are one."""

    def __init__(self, warehouse: str) -> None:
        self._warehouse = warehouse
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Something changed in Label Studio."""
        self._rung.set()

    async def answer(self) -> None:
        """Sync after each ring, for ever."""
        took = 0.0
        while True:
            await self._rung.wait()
            await asyncio.sleep(max(_LEAST_PAUSE_S, _PAUSE_PER_SYNC * took))
            self._rung.clear()
            began = time.monotonic()
            try:
                await asyncio.to_thread(self._sync)
            except RewardDanceError as error:
                _LOG.warning("sync: %s", error)
            took = time.monotonic() - began

    def _sync(self) -> None:
        with open_warehouse(self._warehouse) as warehouse:
            sync(warehouse)
