"""The page's XML and what its answers may be; values that would un-tick each other never repeat."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from annotation.guideline import guideline
from annotation.label_studio.labels import Answer, Layout, Region, allowed, build, read_answer
from warehouse.records import TASKS

LAYOUTS = [Layout("image"), Layout("image", "Reference"), Layout("image", "Source"), Layout("video"),
           Layout("video", "First frame"), Layout("video", "Reference"), Layout("image", regions=True),
           Layout("image", "Source", regions=True, sensitive=True), Layout("video", sensitive=True)]


def _choice(name: str, *answers: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "prompt", "type": "choices", "value": {"choices": list(answers)}}


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("task", TASKS)
def test_every_layout_shows_media_questions_and_flags(layout: Layout, task: str) -> None:
    criteria = {"overall": "Which is <b>better</b> \"here\" & $left {{x}}?"}
    questions = guideline(task, ("overall", "text_alignment", "visual_quality", "motion_quality"), 1, criteria)
    root = ElementTree.fromstring(build(layout, questions))
    shown = {element.attrib["value"] for element in root.iter() if element.tag in ("Image", "Video", "Text")}
    assert shown == {"$prompt", "$left", "$right"} | ({"$condition"} if layout.condition else set())
    assert criteria["overall"] in {header.attrib["value"] for header in root.iter("Header")}
    buttons = [*root.iter("Choice"), *root.iter("Label")]
    values, keys = ([button.attrib[name] for button in buttons] for name in ("value", "hotkey"))
    extra = layout.sensitive + 2 * layout.regions
    assert len(values) == len(set(values)) == 4 + 3 * 3 + 3 + extra and len(keys) == len(set(keys)) == len(values)
    clips = [element.attrib["sync"] for element in root.iter("Video")]
    assert len(clips) == {"image": 0, "video": 3 if layout.condition == "Reference" else 2}[layout.media_kind]


CONTROLS = allowed(build(Layout("image"), guideline("t2i", ("overall", "text_alignment"), 1)))
GOOD = [_choice("overall", "left"), _choice("text_alignment", "tie")]
WHY = {"from_name": "rationale", "type": "textarea", "value": {"text": ["warmer", "and closer"]}}


@pytest.mark.parametrize(("result", "answer"), [
    (GOOD, Answer({"overall": "left", "text_alignment": "tie"})),
    ([*GOOD, WHY], Answer({"overall": "left", "text_alignment": "tie"}, "warmer and closer")),
    ([_choice("flag", "unsafe")], Answer({}, "", "unsafe")),
    ([*GOOD, _choice("flag", "broken")], Answer({}, "", "broken")),
    ([], Answer({}, fault="empty_result")),
    ([WHY], Answer({}, fault="empty_result")),
    (GOOD[:1], Answer({}, fault="missing_answer")),
    ([*GOOD, _choice("smell", "left")], Answer({}, fault="unknown_control")),
    ([{"value": {"choices": ["left"]}}], Answer({}, fault="unknown_control")),
    ([{"from_name": "overall"}], Answer({}, fault="unknown_control")),
    ([_choice("overall", "left", "right"), GOOD[1]], Answer({}, fault="unknown_choice")),
    ([_choice("overall"), GOOD[1]], Answer({}, fault="unknown_choice")),
    ([_choice("text_alignment", "both_bad"), GOOD[0]], Answer({}, fault="unknown_choice")),
    ([*GOOD, GOOD[0]], Answer({}, fault="unknown_choice")),
], ids=range(14))
def test_answers_are_held_against_the_published_page(result: list[dict[str, Any]], answer: Answer) -> None:
    assert read_answer(result, CONTROLS) == answer


PAINTED = {"from_name": "regions_right", "to_name": "right", "type": "brushlabels", "original_width": 96,
           "original_height": 64, "value": {"format": "rle", "rle": [0, 0, 1, 255], "brushlabels": ["artefact"]}}


@pytest.mark.parametrize(("change", "fault"), [
    ({}, ""),
    ({"original_width": 0}, "unknown_region"),
    ({"value": {"rle": [256]}}, "unknown_region"),
    ({"value": {"rle": "no"}}, "unknown_region"),
    ({"from_name": "regions_middle"}, "unknown_control"),
], ids=range(5))
def test_painted_places_are_read_or_refused(change: dict[str, Any], fault: str) -> None:
    controls = allowed(build(Layout("image", regions=True, sensitive=True), guideline("t2i", ("overall",), 1)))
    answer = read_answer([GOOD[0], _choice("shown", "yes"), PAINTED | change], controls)
    assert answer.fault == fault
    if not fault:
        assert answer == Answer({"overall": "left"}, regions=(Region("right", 96, 64, (0, 0, 1, 255)),))
    assert read_answer([_choice("shown", "yes")], controls).fault == "empty_result"
