"""Pairs with real pictures and clips, campaigns on them, and raters who answer through Label Studio's own interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np

from annotation import pairing
from annotation.label_studio.publish import config_of, item_config_of, publish
from annotation.label_studio.raters import log_in
from generation.candidates import media_row
from simulation.render import render_clip, render_image
from simulation.scenes import clip_specs, draw_scene, image_specs
from tests.annotation.label_studio.conftest import Studio
from warehouse import Warehouse
from warehouse.media.encode import encode_mp4, encode_png
from warehouse.records import candidate_row, generator_row, prompt_row
from warehouse.stage import Receipt

HOSTILE = "a cat <script>alert(1)</script> <b>bold</b> {{7*7}} ${left} ünï"
PICTURES, CLIPS = list(image_specs()), list(clip_specs())
DIMENSIONS = ("overall", "text_alignment")


def media(number: int, task: str, high: int = 3) -> bytes:
    """A picture, 96 pixels wide and 32 `high` high, or for clip tasks a clip, that no other number has."""
    chance = np.random.default_rng(number)
    if task in ("t2v", "i2v"):
        frames = render_clip(draw_scene(CLIPS[number % len(CLIPS)], chance))
        return encode_mp4(frames.repeat(3, axis=1).repeat(3, axis=2), 8)
    [picture] = render_image(draw_scene(PICTURES[number % len(PICTURES)], chance))
    return encode_png(picture.repeat(high, axis=0).repeat(3, axis=1))


def pairs(warehouse: Warehouse, source: str, prompts: int, task: str = "t2i", condition: bool = False,
          tags: dict[str, str] | None = None, words: Sequence[str] = (), high: int = 3) -> None:
    """Prompts (`words`, or hostile ones) with two candidates each by a generator with a telling name, and pairs."""
    generator = generator_row(f"secret-model-x {source}", "test", "1")
    kind = "video" if task in ("t2v", "i2v") else "image"
    base = sum(source.encode()) * 1000
    stored = [warehouse.media.put(media(base + index, task, high)) for index in range(2 * prompts)]
    extra = [warehouse.media.put(media(base + 999, "t2i"))] if condition else []
    shown, first = [info.media_id for info in stored], extra[0].media_id if extra else None
    said = words or [f"{HOSTILE} {source} {index}" for index in range(prompts)]
    texts = [prompt_row(said[index], task, kind, source, condition_media_id=first, tags=tags)
             for index in range(prompts)]
    made = [candidate_row(texts[index // 2]["prompt_id"], generator["generator_id"], shown[index], index, {}, task,
                          source) for index in range(2 * prompts)]
    files = [media_row(warehouse, info, source) for info in (*stored, *extra)]
    with warehouse.commit():
        for table, rows in (("generators", [generator]), ("prompts", texts), ("candidates", made), ("media", files)):
            warehouse.merge(table, rows)
    pairing.run(pairing.PairingConfig(task=task, generator_id=generator["generator_id"], pairs_per_prompt=1), warehouse)


def campaign(warehouse: Warehouse, name: str, prompts: int = 4, task: str = "t2i", condition: bool = False,
             tags: dict[str, str] | None = None, words: Sequence[str] = (), high: int = 3, **more: Any) -> Receipt:
    """Pairs of their own and a campaign on them, published."""
    pairs(warehouse, name, prompts, task, condition, tags, words, high)
    return again(warehouse, name, task, **more)


def again(warehouse: Warehouse, name: str, task: str = "t2i", **more: Any) -> Receipt:
    """The same campaign, published (once more)."""
    generator = generator_row(f"secret-model-x {name}", "test", "1")["generator_id"]
    options: dict[str, Any] = {"task": task, "dimensions": DIMENSIONS, "votes_per_pair": 2, "generator_id": generator}
    return publish(warehouse, config_of(name, options | more))


def inspection(warehouse: Warehouse, name: str, prompts: int = 1, task: str = "t2i", condition: bool = False,
               tags: dict[str, str] | None = None, **more: Any) -> Receipt:
    """Items of their own, to be passed or failed by one person each, published."""
    pairs(warehouse, name, prompts, task, condition, tags)
    generator = generator_row(f"secret-model-x {name}", "test", "1")["generator_id"]
    options: dict[str, Any] = {"task": task, "dimensions": DIMENSIONS, "votes_per_item": 1, "generator_id": generator}
    return publish(warehouse, item_config_of(name, options | more))


def numbers(warehouse: Warehouse, name: str) -> list[tuple[str, int]]:
    """(task id, number on the server) of a campaign, in the order of task ids."""
    rows = warehouse.rows("SELECT t.task_id, t.backend_ref FROM annotation_tasks t JOIN campaigns c USING (campaign_id)"
                          " WHERE c.name = ? ORDER BY t.task_id", [name])
    return [(row["task_id"], int(row["backend_ref"].split(":")[1])) for row in rows]


def choice(name: str, answer: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "prompt", "type": "choices", "value": {"choices": [answer]}}


def result(*answers: str, why: str = "") -> list[dict[str, Any]]:
    """An annotation's result: one answer for each of DIMENSIONS."""
    chosen = [choice(name, answer) for name, answer in zip(DIMENSIONS, answers, strict=True)]
    reason = {"from_name": "rationale", "to_name": "prompt", "type": "textarea", "value": {"text": [why]}}
    return [*chosen, *([reason] if why else [])]


class Person:
    """A rater at Label Studio itself, as the gateway speaks for them."""

    def __init__(self, studio: Studio, name: str) -> None:
        self.http = httpx.Client(base_url=studio.server.url, timeout=60.0)
        log_in(self.http, next(rater for rater in studio.server.raters if rater.name == name))
        self.http.headers.update({"X-CSRFToken": self.http.cookies["csrftoken"], "Referer": studio.server.url})

    def answer(self, task: int, given: list[dict[str, Any]], **more: Any) -> int:
        body = {"result": given, "lead_time": 4.5, "was_cancelled": False} | more
        said = self.http.post(f"/api/tasks/{task}/annotations/", json=body)
        assert said.status_code == 201, said.text
        return int(said.json()["id"])

    def edit(self, annotation: int, given: list[dict[str, Any]]) -> None:
        assert self.http.patch(f"/api/annotations/{annotation}/", json={"result": given}).status_code == 200

    def delete(self, annotation: int) -> None:
        assert self.http.delete(f"/api/annotations/{annotation}/").status_code == 204
