"""Raters at work for benchmarks/annotation.py: each asks for a task, looks at both media, thinks and answers, again and
again, over HTTP through the gateway, as the labelling page does.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

PAUSE_S = (1.5, 4.5)
ANSWERS = ("left", "right", "tie", "both_bad")


@dataclass
class Shift:
    """What a crowd did: seconds of each "next task" and "submit", (task, rater) of each accepted answer, refusals."""

    next_s: list[float] = field(default_factory=list)
    submit_s: list[float] = field(default_factory=list)
    accepted: list[tuple[int, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    seconds: float = 0.0


def chosen(answer: str) -> list[dict[str, Any]]:
    """The result of an annotation that answers the one question."""
    return [{"from_name": "overall", "to_name": "prompt", "type": "choices", "value": {"choices": [answer]}}]


async def _timed(kept: list[float], call: Any) -> httpx.Response:
    began = time.monotonic()
    said: httpx.Response = await call
    kept.append(time.monotonic() - began)
    return said


async def _work(link: str, project: int, name: str, until: float, shift: Shift) -> None:
    chance = random.Random(name)
    async with httpx.AsyncClient(base_url=link.split("/in/")[0], timeout=120.0) as http:
        await http.get(link)
        await asyncio.sleep(chance.uniform(0.0, PAUSE_S[1]))
        while time.monotonic() < until:
            asked = http.post("/api/dm/actions/", params={"id": "next_task", "project": project}, json={})
            said = await _timed(shift.next_s, asked)
            if said.status_code != 200:
                shift.refused.append(f"next {said.status_code}: {said.text[:100]}")
                return
            task = said.json()
            for side in ("left", "right"):
                (await http.get(task["data"][side])).raise_for_status()
            await asyncio.sleep(chance.uniform(*PAUSE_S))
            body = {"result": chosen(chance.choice(ANSWERS)), "lead_time": 3.0}
            said = await _timed(shift.submit_s, http.post(f"/api/tasks/{task['id']}/annotations/", json=body))
            if said.status_code == 201:
                shift.accepted.append((task["id"], name))
            else:
                shift.refused.append(f"submit {said.status_code}: {said.text[:100]}")


def work(links: dict[str, str], project: int, seconds: float) -> Shift:
    """All raters at once for so long; what has been begun is finished."""
    shift = Shift()

    async def everybody() -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(*(_work(link, project, name, until, shift) for name, link in links.items()))

    began = time.monotonic()
    asyncio.run(everybody())
    shift.seconds = time.monotonic() - began
    return shift
