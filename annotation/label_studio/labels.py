"""The labelling page of a campaign as Label Studio's XML, and what its answers may be, read from that same XML.

Layouts: a pair of pictures or of clips in step, with a third medium between them where the task has one (a reference,
the first frame, the picture to edit). Two habits of Label Studio shape the XML: radio
buttons of different questions that share a `value` un-tick each other, so values are unique and `alias` is exported;
and every `$variable` is mandatory in every task, so a task with a condition needs another project than one without.

Left out on purpose: checking anything in Label Studio. It accepts any result for any task, so `read_answer` holds
results against the XML that was published.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from xml.sax.saxutils import quoteattr

from warehouse.records import Row

FLAGS = {"broken": "Broken", "unsafe": "Unsafe", "cannot_judge": "Cannot judge"}
CONDITIONS = {"t2i": "Reference", "t2v": "Reference", "i2v": "First frame", "edit": "Source"}
_ANSWERS = {"left": "Left", "tie": "Same", "right": "Right", "both_bad": "Both bad"}
_KEYS = ("1234", "qwer", "asdf", "zxcv")
_FLAG_KEYS = "789"
_PICTURE = 'zoom="true" negativeZoom="false" zoomControl="false" rotateControl="false" ' \
           'brightnessControl="false" contrastControl="false"'


@dataclass(frozen=True)
class Layout:
    """What decides the page besides the questions; `condition` is the heading of the third medium, "" for none."""

    media_kind: str
    condition: str = ""


def build(layout: Layout, questions: Sequence[Row]) -> str:
    """The XML for rows of the dimensions table; media come as $left, $right and $condition, text as $prompt."""
    cards = [_card("Left", "left", layout.media_kind), _card("Right", "right", layout.media_kind)]
    if layout.condition:
        # Only a reference of clips is a clip; first frames and sources are pictures.
        kind = layout.media_kind if layout.condition == "Reference" else "image"
        cards.insert(1, _card(layout.condition, "condition", kind))
    asked = [_question(index, row) for index, row in enumerate(questions)]
    style = files("annotation.label_studio").joinpath("page.css").read_text("utf-8")
    return "\n".join([
        f'<View className="rd rd-{layout.media_kind}s rd-media-{len(cards)}">',
        f"<Style>{style}</Style>",
        '<View className="rd-prompt"><Text name="prompt" value="$prompt" selectionEnabled="false"/></View>',
        f'<View className="rd-cards">{"".join(cards)}</View>',
        f'<View className="rd-questions rd-asks-{len(asked)}">{"".join(asked)}</View>',
        f'<View className="rd-last">{_flags()}<TextArea name="rationale" toName="prompt" rows="1" maxSubmissions="1" '
        'editable="true" placeholder="Why? One or two sentences. Shift+Enter adds it, Ctrl+Enter submits."/></View>',
        "</View>",
    ])


def _medium(name: str, kind: str) -> str:
    if kind == "video":
        return f'<Video name="{name}" value="${name}" sync="clips" height="100%" timelineHeight="0" muted="true"/>'
    return f'<Image name="{name}" value="${name}" {_PICTURE}/>'


def _card(title: str, name: str, kind: str) -> str:
    return f'<View className="rd-card"><Header value={quoteattr(title)} size="5"/>{_medium(name, kind)}</View>'


def _question(index: int, row: Row) -> str:
    """One question; "both bad" is an answer to the first only, so that four questions fit on the screen."""
    name, keys = row["dimension"], _KEYS[index] if index < len(_KEYS) else ""
    answers = [item for item in _ANSWERS.items() if index == 0 or item[0] != "both_bad"]
    choices = "".join(_choice(name, answer, title, keys[number : number + 1])
                      for number, (answer, title) in enumerate(answers))
    said = quoteattr(f"Please answer: {row['title']}. Where it cannot be judged, use a flag below.")
    return f'<View className="rd-question"><Header value={quoteattr(row["title"])} size="5"/>' \
           f'<View className="rd-criteria"><Header value={quoteattr(row["criteria"])} size="5"/></View>' \
           f'<Choices name={quoteattr(name)} toName="prompt" choice="single-radio" showInline="true" required="true" ' \
           f'requiredMessage={said} visibleWhen="choice-unselected" whenTagName="flag">{choices}</Choices></View>'


def _choice(question: str, answer: str, title: str, key: str) -> str:
    """One button; the page shows its key beside the title."""
    hotkey = f' hotkey="{key}"' if key else ""
    return f'<Choice value={quoteattr(f"{question} {answer}")} html={quoteattr(title)} alias="{answer}"{hotkey}/>'


def _flags() -> str:
    choices = "".join(_choice("flag", reason, title, key)
                      for (reason, title), key in zip(FLAGS.items(), _FLAG_KEYS, strict=True))
    return f'<Choices name="flag" toName="prompt" choice="single-radio" showInline="true">{choices}</Choices>'


@dataclass(frozen=True)
class Answer:
    """What one annotation says; `flag` excludes labels, and `fault` says why nothing of it can be used."""

    labels: Mapping[str, str]
    rationale: str = ""
    flag: str = ""
    fault: str = ""


def allowed(xml: str) -> dict[str, frozenset[str] | None]:
    """Answers that each control of the published XML accepts; None for free text."""
    controls: dict[str, frozenset[str] | None] = {}
    for element in ElementTree.fromstring(xml).iter():
        if element.tag == "Choices":
            controls[element.attrib["name"]] = frozenset(choice.attrib["alias"] for choice in element.iter("Choice"))
        elif element.tag == "TextArea":
            controls[element.attrib["name"]] = None
    return controls


def read_answer(result: Sequence[Mapping[str, Any]], controls: Mapping[str, frozenset[str] | None]) -> Answer:
    """An annotation's result against the published controls; a fault where anything in it does not fit."""
    labels: dict[str, str] = {}
    rationale = ""
    for item in result:
        name, value = item.get("from_name"), item.get("value")
        if not isinstance(name, str) or name not in controls or not isinstance(value, dict):
            return Answer({}, fault="unknown_control")
        choices = controls[name]
        if choices is None:
            rationale = _text(value)
            continue
        chosen = value.get("choices")
        if not isinstance(chosen, list) or len(chosen) != 1 or chosen[0] not in choices or name in labels:
            return Answer({}, fault="unknown_choice")
        labels[name] = chosen[0]
    return _complete(labels, rationale, controls)


def _text(value: Mapping[str, Any]) -> str:
    """Typed text comes as a string or as a list of them."""
    text = value.get("text", "")
    return " ".join(text if isinstance(text, list) else [text]).strip() if text else ""


def _complete(labels: dict[str, str], rationale: str, controls: Mapping[str, frozenset[str] | None]) -> Answer:
    flag = labels.pop("flag", "")
    if flag:
        return Answer({}, rationale, flag)
    asked = {name for name, choices in controls.items() if choices is not None and name != "flag"}
    if not labels:
        return Answer({}, fault="empty_result")
    return Answer({}, fault="missing_answer") if set(labels) != asked else Answer(labels, rationale)
