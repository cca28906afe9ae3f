"""A rater before the labelling page, in a browser of their own: keys, the mouse, and what the server said to it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

from tests.annotation.label_studio.conftest import Studio

ROOT = Path(__file__).resolve().parents[3]
SHOTS = ROOT / "runs" / "screenshots"
SIZES = ((1440, 900), (1280, 720))
# How far the lowest part of the page stands below the bar of Submit, in pixels; 0 or less where all is in view.
BELOW = """() => Math.max(...[...document.querySelectorAll('.rd-prompt, .rd-card, .rd-question, .rd-last')]
    .map(part => part.getBoundingClientRect().bottom)) - document.querySelector(
        "[data-testid^='bottombar-s'], [data-testid^='bottombar-u']").getBoundingClientRect().top"""
# Clips are drawn on a canvas; their elements lie elsewhere in the page.
_LOADED = """() => [...document.querySelectorAll('.rd-card img')].every(picture => picture.complete)
    && Boolean(document.querySelector('.rd-videos')) === Boolean(document.querySelector('video'))
    && [...document.querySelectorAll('video')].every(clip => clip.readyState >= 2)"""
_IN_STEP = """() => { const [one, other] = [...document.querySelectorAll('video')].map(clip => clip.currentTime);
    return one > 0.3 && Math.abs(one - other) < 0.1 }"""
SUBMIT = "button[aria-label*='ubmit'], button:has-text('Submit'), button:has-text('Update')"
PREVIOUS = "[data-testid='prev-task']"
# A rater is shown a pair once, and prompts of a campaign differ: another prompt is another task.
_READY = """old => { const prompt = document.querySelector('.rd-prompt');
    return prompt && prompt.innerText && prompt.innerText !== old
        && [...document.querySelectorAll('.rd-card')].every(card => card.querySelector('img[src], canvas'))
        && document.querySelector("[data-testid^='bottombar-s'], [data-testid^='bottombar-u']") }"""
_TICKED = "n => document.querySelectorAll('.rd input:checked').length >= n"
_NEXT = f"old => !document.querySelector('.rd-prompt') || ({_READY})(old)"
_ANSWER = re.compile(r"/api/(?:tasks/(\d+)/annotations|annotations/(\d+))/?\?")


class Desk:
    """A page under one rater's link; `refused` lists addresses that were answered with an error."""

    def __init__(self, browser: Any, studio: Studio, name: str) -> None:
        self.home = studio.links[name].split("/in/")[0]
        self.page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        # A machine that is busy with other things may take long to show a page.
        self.page.set_default_timeout(240_000)
        self.refused: list[str] = []
        self.before = ""
        self.size = SIZES[0]
        self.page.on("response", lambda said: self.refused.append(said.url) if said.status >= 400 else None)
        self.page.goto(studio.links[name])

    def open(self, project: int, size: tuple[int, int] = SIZES[0]) -> None:
        """A project's labelling page with its first task, in a window of this size."""
        self.refused.clear()
        self.size = size
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        self.page.goto(f"{self.home}/projects/{project}/data/?labeling=1", wait_until="commit")
        self.before = ""
        self.ready()

    def ready(self) -> None:
        """Waits until a task is on the page that has not been sent."""
        self.page.wait_for_function(_READY, arg=self.before)

    @property
    def shown(self) -> str:
        """The prompt on the page."""
        return str(self.page.inner_text(".rd-prompt"))

    def press(self, keys: str) -> None:
        """Hotkeys of answers, each of which must tick its button."""
        self.ready()
        for count, key in enumerate(keys, start=1):
            self._until(key, _TICKED, 8_000, count)

    def _until(self, key: str, what: str, patience_ms: int, arg: Any = None) -> None:
        """Presses a key until something is so: a page that has just been drawn may not listen yet."""
        from playwright.sync_api import TimeoutError as TooLong

        for _ in range(16):
            self.page.keyboard.press(key)
            with contextlib.suppress(TooLong):
                self.page.wait_for_function(what, arg=arg, timeout=patience_ms)
                return
        raise AssertionError(f"the key {key!r} does nothing: {what}")

    def watch(self) -> None:
        """Plays both clips by a key until they ran in step for a while, and starts them anew by another."""
        self._until("p", _IN_STEP, 4_000)
        self._until("o", "() => [...document.querySelectorAll('video')].every(clip => clip.currentTime < 0.2)", 2_000)

    def reason(self, text: str) -> None:
        """Types into the box; Shift+Enter takes it in, and the keys are hotkeys again."""
        self.page.locator("[placeholder^='Why?']").click()
        self.page.keyboard.type(text)
        self.page.keyboard.press("Shift+Enter")
        self.page.wait_for_selector(f".rd-last :text('{text}')")

    def click(self, *answers: tuple[int, str]) -> None:
        """Buttons by number of the question and title, with the mouse."""
        self.ready()
        for question, title in answers:
            self.page.locator(".rd-question").nth(question).locator(f".lsf-choice__item:has-text('{title}')").click()

    def send(self, key: str = "Control+Enter") -> int:
        """Submit (or skip) by keyboard; the task's number, or for an edit the annotation's."""
        return self._sent(lambda: self.page.keyboard.press(key))

    def send_by_mouse(self) -> int:
        """Submit with the mouse."""
        return self._sent(lambda: self.page.locator(SUBMIT).first.click())

    def _sent(self, act: Any) -> int:
        self.ready()
        before = self.shown
        with self.page.expect_response(lambda said: said.request.method in ("POST", "PATCH")
                                       and "/drafts" not in said.url and _ANSWER.search(f"{said.url}?")) as caught:
            act()
        answer = caught.value
        assert answer.status in (200, 201), answer.text()
        found = _ANSWER.search(f"{answer.url}?")
        assert found is not None
        self.before = before
        return int(found.group(1) or found.group(2))

    def back(self) -> None:
        """To the task before, which was answered."""
        self.ready()
        self.before = self.shown
        self.page.locator(PREVIOUS).click()
        self.ready()

    def shoot(self, name: str) -> None:
        """A screenshot, with everything in view and nothing to scroll."""
        from playwright.sync_api import TimeoutError as TooLong

        width, height = self.size
        with contextlib.suppress(TooLong):
            self.page.wait_for_function(f"() => ({BELOW})() <= 0 && ({_LOADED})()", timeout=15_000)
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SHOTS / f"{name}-{width}x{height}.png"))
        assert self.page.evaluate(BELOW) <= 0, f"{name} does not fit {width}x{height}"
        box = self.page.locator(SUBMIT).first.bounding_box()
        assert box["y"] + box["height"] <= height, f"{name}: Submit is out of view at {width}x{height}"
