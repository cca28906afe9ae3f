"""`rewarddance try` as a person uses it: the command, the page, the keyboard, the results."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.annotation.voter.folders import clips, pictures
from warehouse import open_warehouse

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[3]
SCREENSHOTS = ROOT / "runs" / "screenshots"
PROMPTS = ("a red cat", "two blue dogs on a hill", "a <script>alert(1)<script> {{ 7*7 }}", "thing", "other thing")
Start = Callable[[Path], tuple[Any, str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Runs the command on a folder; the process and the page's address. Ended at the latest after the test."""
    running: list[Any] = []

    def run(folder: Path) -> tuple[Any, str]:
        arguments = ["try", str(folder), "--no-open", "--json", "--warehouse", str(tmp_path / "warehouse"),
                     "--out", str(tmp_path / "out")]
        process = subprocess.Popen([sys.executable, "-m", "pipelines.cli", *arguments], cwd=ROOT, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        running.append(process)
        assert process.stderr is not None
        heard = []
        for line in process.stderr:
            heard.append(line)
            if line.startswith("vote here:"):
                return process, line.split()[-1]
        raise AssertionError("".join(heard))

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _ready(page: Any, before: str = "") -> str:
    """Waits until a pair other than `before` is on the page; its task id."""
    page.wait_for_selector(f"body[data-ready]:not([data-ready='{before}'])")
    return str(page.evaluate("document.body.dataset.ready"))


def _fits(page: Any, width: int, height: int, name: str) -> None:
    """Nothing to scroll and every button in sight; the screenshot is kept."""
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(150)
    size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert size[0] <= width and size[1] <= height
    for button in page.locator("footer button").all():
        box = button.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["y"] + box["height"] <= height
    for side in ("left", "right"):
        box = page.locator(f"#{side} > *").bounding_box()
        assert box["width"] > 300 and box["height"] > height / 3
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SCREENSHOTS / f"{name}-{width}x{height}.png"))


def test_pictures_by_keyboard_to_the_results(browser: Any, start: Start, tmp_path: Path) -> None:
    began = time.monotonic()
    process, address = start(pictures(tmp_path / "mine", PROMPTS))
    page = browser.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(address)
    shown = [_ready(page)]
    print(f"first pair after {time.monotonic() - began:.1f} s")
    for width, height in ((1440, 900), (1280, 720)):
        _fits(page, width, height, "try-pictures")
    assert "alpha" not in page.content() and "beta" not in page.content()
    prompts = []
    for key in ("ArrowLeft", "ArrowRight", "ArrowDown"):
        prompts.append(page.inner_text("#prompt"))
        page.keyboard.press(key)
        shown.append(_ready(page, shown[-1]))
    page.keyboard.press("u")
    assert _ready(page, shown[3]) == shown[2]
    page.keyboard.press("ArrowUp")
    assert _ready(page, shown[2]) == shown[3]
    prompts.append(page.inner_text("#prompt"))
    page.keyboard.press("f")
    page.screenshot(path=str(SCREENSHOTS / "try-flag-1280x720.png"))
    page.keyboard.press("3")
    _ready(page, shown[3])
    prompts.append(page.inner_text("#prompt"))
    page.keyboard.press("2")
    page.wait_for_selector("#results:not([hidden])")
    assert set(prompts) == set(PROMPTS)
    bar, reach = (page.locator(name).first.bounding_box() for name in (".bar", ".bar i"))
    # Whoever won is first; its interval ends at the right end of the bar, beyond the middle.
    assert reach["x"] > bar["x"] + 1 and reach["x"] + reach["width"] <= bar["x"] + bar["width"] + 1
    page.wait_for_timeout(300)
    page.screenshot(path=str(SCREENSHOTS / "try-results-1280x720.png"))
    # However many pairs there are, each shows its prompt below its pictures.
    hidden = """() => { const all = document.querySelector("#gallery");
        for (const figure of [...all.children, ...all.children]) all.append(figure.cloneNode(true));
        return [...all.children].filter(figure => figure.querySelector("figcaption").getBoundingClientRect().bottom
            > figure.getBoundingClientRect().bottom).length }"""
    assert page.evaluate(hidden) == 0
    page.click("text=Save and finish")
    page.wait_for_selector("#bye:not([hidden])")
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    answer = json.loads(stdout)
    assert answer["votes"] == 4 and {rate["generator"] for rate in answer["win_rates"]} == {"alpha", "beta"}
    lines = [json.loads(line) for line in Path(answer["votes_file"]).read_text().splitlines()]
    assert sorted(line["label"] for line in lines).count("both_bad") == 1
    written = Path(answer["page"]).read_text()
    assert written.count("<figure") == 4 and "<script>" not in written
    page.goto(Path(answer["page"]).as_uri())
    page.screenshot(path=str(SCREENSHOTS / "try-page-1280x720.png"), full_page=True)
    assert problems == []


def test_clips_play_in_step_and_the_session_goes_on(browser: Any, start: Start, tmp_path: Path) -> None:
    process, address = start(clips(tmp_path / "clips"))
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto(address)
    _ready(page)
    apart = []
    for _ in range(12):
        page.wait_for_timeout(120)
        left, right = page.evaluate(
            "[...document.querySelectorAll('.side video')].map(v => [v.currentTime, v.duration, v.paused])")
        longest, shortest = max(left[1], right[1]), min(left[1], right[1])
        assert (longest, shortest) == pytest.approx((3.0, 2.0), abs=0.15)
        first, second = (left, right) if left[1] == longest else (right, left)
        apart.append(abs(min(first[0], shortest) - second[0]))
    assert sorted(apart)[len(apart) // 2] < 0.1
    for width, height in ((1440, 900), (1280, 720)):
        _fits(page, width, height, "try-clips")
    page.keyboard.press(" ")
    assert all(page.evaluate("[...document.querySelectorAll('.side video')].map(v => v.paused)"))
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#results:not([hidden])")
    process.kill()
    with open_warehouse(str(tmp_path / "warehouse")) as opened:
        [vote] = opened.rows("SELECT label, left_side, deleted FROM votes")
        assert vote["label"] != vote["left_side"] and not vote["deleted"]
    _, address = start(tmp_path / "clips")
    page.goto(address)
    page.wait_for_selector("#results:not([hidden])")
    assert page.inner_text("#told").startswith("1 vote ")
