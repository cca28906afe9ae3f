"""configs/smoke.yaml from prompts to report: what a summary and a page must hold."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.pipelines.conftest import ROOT, Finish

# Ends in half a minute; the limit is for machines that are busy with other things.
pytestmark = [pytest.mark.prefect, pytest.mark.loop, pytest.mark.timeout(1800)]


class Page(HTMLParser):
    """Ids of the sections in their order, and everything that the page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "h2" and values.get("id"):
            self.sections.append(str(values["id"]))
        self.loaded += [str(values[name]) for name in ("src", "href") if values.get(name) and tag != "a"]


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory, finish: Finish) -> dict[str, Any]:
    code, document = finish(ROOT / "configs" / "smoke.yaml", tmp_path_factory.mktemp("smoke") / "out")
    assert code == 0, document
    return document


def test_the_summary_is_whole(summary: dict[str, Any]) -> None:
    jsonschema.validate(summary, json.loads((ROOT / "pipelines/cli/summary.schema.json").read_text(encoding="utf-8")))
    assert summary["counts"]["rejects"] == 0
    assert summary["alignment"]["image"]["n_prompts"] == 10
    assert set(summary["agreement"]["alpha"]) == {"overall", "text_alignment"}
    assert summary["rm"]["accuracy_id"]["n"] > 0
    assert summary["search"]["4"] is not None


def test_the_page_is_one_file_in_the_order_of_the_loop(summary: dict[str, Any]) -> None:
    text = Path(summary["report"]).read_text(encoding="utf-8")
    page = Page(text)
    assert page.sections == ["results", "votes", "agreement", "reward-model", "aligned-1", "search", "lineage",
                             "placebo", "receipts"]
    assert len(page.loaded) > 50
    assert all(link.startswith("data:image/") for link in page.loaded)
    assert "Simulated world" in text
