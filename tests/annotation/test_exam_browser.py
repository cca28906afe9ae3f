"""The admission test in a real Chromium, by keyboard: the command, the page, the result in the warehouse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.annotation.exams import campaign, known, pictures
from warehouse import open_warehouse

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "runs" / "screenshots"


def test_a_test_by_keyboard(browser: Any, tmp_path: Path) -> None:
    url = str(tmp_path / "warehouse")
    with open_warehouse(url) as warehouse:
        pictures(warehouse, 4)
        known(warehouse, tmp_path)
        campaign(warehouse, {"questions": 3, "need": 1, "attempts": 1})
    command = [sys.executable, "-m", "pipelines.cli", "annotate", "qualify", "first", "--as", "ann", "--no-open",
               "--json", "--warehouse", url]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            problems: list[str] = []
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.goto(process.stderr.readline().split()[-1])
            shot = {"right": False, "wrong": False}
            while page.locator("#end[hidden]").count():
                page.wait_for_selector("body[data-ready]")
                assert page.evaluate("[...document.querySelectorAll('.side > img')].every(one => one.naturalWidth)")
                asked = page.evaluate("document.body.dataset.ready")
                page.keyboard.press("ArrowLeft")
                page.wait_for_selector(f"body[data-marked='{asked}']")
                told = page.get_attribute("#verdict", "class")
                if not shot[told]:
                    shot[told] = True
                    SHOTS.mkdir(parents=True, exist_ok=True)
                    page.screenshot(path=str(SHOTS / f"admission-{told}-1280x720.png"))
                    size = page.evaluate("[document.documentElement.scrollWidth, document.body.scrollHeight]")
                    assert size[0] <= 1280 and size[1] <= 720
                    assert page.inner_text("#verdict span").startswith("The other one has a smear")
                page.keyboard.press("Enter")
                page.wait_for_function("old => document.body.dataset.end || document.body.dataset.ready !== old",
                                       arg=asked)
            page.screenshot(path=str(SHOTS / "admission-end-1280x720.png"))
            ended = page.inner_text("#end h1")
            stdout, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0 and problems == [], stderr
    result = json.loads(stdout)["result"]
    assert (ended, result) in (("You are in", "admitted"), ("Thank you for your time", "refused"))
    with open_warehouse(url) as warehouse:
        kinds = {row["kind"] for row in warehouse.rows("SELECT kind FROM annotator_events")}
    assert result in kinds and "qualification_answer" in kinds
