"""Recipes of public benchmarks, and one of them on real clips with real votes (tests/data/videoalign-pairs)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.public_benchmarks import judge, names, read_benchmark, write
from tests.rm import world
from warehouse.errors import ConfigError, NotFoundError

DATA = Path(__file__).resolve().parents[1] / "data" / "videoalign-pairs"
RECIPE = """
title: three clips
format: videoalign
get: tests/data
task: t2v
dimensions: [text_alignment, visual_quality]
options: {licence: MIT}
published: [{system: somebody, with_ties: 50.5, source: a page}]
"""


@pytest.mark.parametrize("name", names())
def test_recipes_say_what_is_published_and_where_from(name: str) -> None:
    found = read_benchmark(name)
    assert found.published and found.get and found.dimensions == ("overall",)
    assert all(each.source and (each.with_ties or each.without_ties) for each in found.published)


def test_the_seven_benchmarks_are_there() -> None:
    assert {"hpdv2", "hpdv3", "imagereward", "pickapic", "genai_bench_image", "videogen_rewardbench"} < set(names())


def test_real_clips_beside_published_figures(tmp_path: Path) -> None:
    recipe = tmp_path / "three_clips.yaml"
    recipe.write_text(RECIPE)
    base = world.checkpoint(tmp_path / "base")
    found = judge(str(recipe), DATA, str(base), str(tmp_path / "warehouse"), world.CONFIGS / "simulation.yaml")
    assert found["dataset"] == "bench-three-clips@1" and found["without_ties"]["n"] + 2 == found["with_ties"]["n"] == 6
    assert found["left_out"] == {}
    page = write(found, tmp_path / "out")
    for text in (page.read_text(), page.with_suffix(".md").read_text()):
        assert "somebody" in text and "50.5" in text and "(ours)" in text
    assert json.loads(page.with_suffix(".json").read_text()) == found


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="one of genai_bench_image"):
        read_benchmark("nothing")
    with pytest.raises(NotFoundError, match="get them: https"):
        judge("hpdv2", tmp_path / "absent", "m", str(tmp_path / "warehouse"))
    (tmp_path / "x.yaml").write_text("title: x\n")
    with pytest.raises(ConfigError, match="format"):
        read_benchmark(str(tmp_path / "x.yaml"))
