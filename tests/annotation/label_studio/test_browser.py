"""The labelling page in a real Chromium: everything in view at both sizes, and a pair labelled by keyboard alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from annotation.label_studio.backend import LabelStudio
from annotation.label_studio.sync import sync
from tests.annotation.label_studio.campaigns import HOSTILE, campaign
from tests.annotation.label_studio.conftest import Studio
from warehouse import open_warehouse

pytestmark = [pytest.mark.label_studio, pytest.mark.browser]
SHOTS = Path(__file__).resolve().parents[3] / "runs" / "screenshots"
DIMENSIONS = ("overall", "text_alignment", "visual_quality")
# How far the lowest part of the page stands below the window, in pixels; 0 or less where all is in view.
BELOW = """() => Math.max(...[...document.querySelectorAll('.rd-prompt, .rd-card, .rd-question, .rd-last')]
    .map(part => part.getBoundingClientRect().bottom)) - window.innerHeight"""
SUBMIT = "button[aria-label*='ubmit'], button:has-text('Submit')"


def _open(browser: Any, studio: Studio, name: str, project: int, size: tuple[int, int]) -> Any:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.refused = []
    page.on("response", lambda said: page.refused.append(said.url) if said.status >= 400 else None)
    page.goto(studio.links[name])
    page.goto(f"{studio.links[name].split('/in/')[0]}/projects/{project}/data/?labeling=1")
    page.wait_for_selector(".rd-question", timeout=120_000)
    page.wait_for_function("() => [...document.querySelectorAll('.rd-card img, .rd-card video')].length >= 2")
    page.wait_for_timeout(700)
    return page


PAGES = [("t2i", False), ("t2i", True), ("t2v", False), ("i2v", True), ("edit", True)]


@pytest.mark.parametrize(("task", "condition"), PAGES, ids=[f"{t}{'+1' if c else ''}" for t, c in PAGES])
def test_everything_is_in_view(studio: Studio, browser: Any, task: str, condition: bool) -> None:
    name = f"page {task} {condition}"
    with open_warehouse(str(studio.root)) as warehouse:
        campaign(warehouse, name, prompts=1, task=task, condition=condition, dimensions=DIMENSIONS)
        project = next(iter(LabelStudio(warehouse, name).published()))
    SHOTS.mkdir(parents=True, exist_ok=True)
    for size in ((1440, 900), (1280, 720)):
        page = _open(browser, studio, "ann", project, size)
        page.screenshot(path=str(SHOTS / f"{task}{'_condition' if condition else ''}_{size[0]}x{size[1]}.png"))
        assert page.evaluate(BELOW) <= 0 and page.locator(SUBMIT).first.bounding_box()["y"] < size[1] - 20
        assert page.refused == []
        assert "secret-model-x" not in page.content() and HOSTILE.split(" ü")[0] in page.inner_text(".rd-prompt")
        page.close()


def test_a_pair_is_labelled_by_keyboard_alone(studio: Studio, browser: Any) -> None:
    with open_warehouse(str(studio.root)) as warehouse:
        campaign(warehouse, "keys", prompts=2, dimensions=DIMENSIONS, votes_per_pair=1)
        project = next(iter(LabelStudio(warehouse, "keys").published()))
        page = _open(browser, studio, "ann", project, (1440, 900))
        for keys in ("1qd", "7"):
            before = page.locator(".rd-card img").first.get_attribute("src")
            for key in keys:
                page.keyboard.press(key)
                page.wait_for_timeout(100)
            page.keyboard.press("Control+Enter")
            page.wait_for_function("old => { const img = document.querySelector('.rd-card img'); "
                                   "return !img || img.getAttribute('src') !== old }", arg=before)
            page.wait_for_timeout(700)
        page.close()
        sync(warehouse, "keys")
        rows = warehouse.rows("SELECT v.dimension, v.label, v.left_side FROM votes v WHERE source = 'campaign:keys'")
        flags = warehouse.rows("SELECT payload_json FROM events WHERE kind = 'flag' AND payload_json LIKE '%broken%'")
    side = rows[0]["left_side"]
    other = "ab".replace(side, "")
    assert {row["dimension"]: row["label"] for row in rows} == {
        "overall": side, "text_alignment": side, "visual_quality": other}
    assert flags
