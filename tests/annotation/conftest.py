"""Debian's Chromium, driven by playwright."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from pipelines.services import SERVICES

# Nothing that a browser does by itself in the background, and no GPU.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def missing(what: str) -> None:
    """A missing service fails in CI and is skipped elsewhere."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(what)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless browser."""
    found = next(service for service in SERVICES if service.name == "chromium").found()
    if not found:
        missing("Chromium is not installed: rewarddance doctor --install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield opened
        opened.close()
