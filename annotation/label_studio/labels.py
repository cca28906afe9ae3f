"""The labelling page of a campaign as Label Studio's XML, and what its answers may be, read from that same XML.

Layouts: a pair of pictures or of clips in step, with a third medium between them where the task has one (a reference,
the first frame, the picture to edit); or one item, with that medium beside it, that passes or fails. Pictures of a pair
may be painted on where they are broken, and what is marked sensitive stays blurred until the rater asks for it. Two
habits of Label Studio shape the XML: radio buttons of different questions that share a `value` un-tick each other, so
values are unique and `alias` is exported; and every `$variable` is mandatory in every task, so a task with a condition
needs another project than one without.

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
_VERDICTS = {"pass": "Pass", "fail": "Fail"}
_KEYS = ("1234", "qwer", "asdf", "zxcv")
_FLAG_KEYS = "789"
_SHOW_KEY = "0"
_BRUSH_KEYS = {"left": "5", "right": "6"}
BRUSH = "regions_"
_LONGEST_MASK = 2_000_000
# The tag takes pixels only: as many as 1280x720 has beside the prompt and four questions.
_CLIP = 'sync="clips" height="260" timelineHeight="0" muted="true"'
# A picture is as high as the page has room for (page.css), whatever its shape.
_PICTURE = 'maxHeight="var(--room)" horizontalAlignment="center" zoom="true" negativeZoom="false" ' \
           'zoomControl="false" rotateControl="false" brightnessControl="false" contrastControl="false"'


@dataclass(frozen=True)
class Layout:
    """What decides the page besides the questions; `condition` is the heading of the third medium, "" for none.

    `regions` gives both pictures a brush for artefacts, `sensitive` puts a warning before the media, `item` shows one
    candidate to be passed or failed.
    """

    media_kind: str
    condition: str = ""
    regions: bool = False
    sensitive: bool = False
    item: bool = False


def build(layout: Layout, questions: Sequence[Row]) -> str:
    """The XML for rows of the dimensions table; media come as $left, $right (or $item) and $condition, text as
    $prompt."""
    if layout.item:
        cards = [_card("Result", "item", layout.media_kind)]
    else:
        cards = [_card(side.capitalize(), side, layout.media_kind, layout.regions) for side in _BRUSH_KEYS]
    if layout.condition:
        # Only a reference of clips is a clip; first frames and sources are pictures.
        kind = layout.media_kind if layout.condition == "Reference" else "image"
        cards.insert(0 if layout.item else 1, _card(layout.condition, "condition", kind))
    asked = [_question(index, row, layout.item) for index, row in enumerate(questions)]
    why = "" if layout.item else _WHY
    style = files("annotation.label_studio").joinpath("page.css").read_text("utf-8")
    kinds = "".join(f" rd-{name}" for name in ("regions", "sensitive", "item") if getattr(layout, name))
    return "\n".join([
        f'<View className="rd rd-{layout.media_kind}s rd-media-{len(cards)}{kinds}">',
        f"<Style>{style}</Style>",
        '<View className="rd-prompt"><Text name="prompt" value="$prompt" selectionEnabled="false"/></View>',
        *([_WARNING] if layout.sensitive else []),
        f'<View className="rd-cards">{"".join(cards)}</View>',
        f'<View className="rd-questions rd-asks-{len(asked)}">{"".join(asked)}</View>',
        f'<View className="rd-last">{_flags()}{why}</View>',
        "</View>",
    ])


def _medium(name: str, kind: str) -> str:
    if kind == "video":
        return f'<Video name="{name}" value="${name}" {_CLIP}/>'
    return f'<Image name="{name}" value="${name}" {_PICTURE}/>'


def _card(title: str, name: str, kind: str, brush: bool = False) -> str:
    painted = f'<BrushLabels name="{BRUSH}{name}" toName="{name}"><Label value="artefact {name}" alias="artefact" ' \
              f'background="#e5484d" hotkey="{_BRUSH_KEYS[name]}"/></BrushLabels>' if brush else ""
    head = f'<Header value={quoteattr(title)} size="5"/>'
    return f'<View className="rd-card"><View className="rd-head">{head}{painted}</View>{_medium(name, kind)}</View>'


def _question(index: int, row: Row, item: bool) -> str:
    """One question; "both bad" is a word on the pair as a whole, so an answer to the first only."""
    name, keys = row["dimension"], _KEYS[index] if index < len(_KEYS) else ""
    answers = [answer for answer in (_VERDICTS if item else _ANSWERS).items() if index == 0 or answer[0] != "both_bad"]
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


_WHY = '<TextArea name="rationale" toName="prompt" rows="1" maxSubmissions="1" editable="true" ' \
       'placeholder="Why? One or two sentences. Shift+Enter adds it, Ctrl+Enter submits."/>'
_WARNING = '<View className="rd-warning"><Header value="This may be disturbing." size="5"/>' \
           f'<Choices name="shown" toName="prompt" choice="single-radio" showInline="true">' \
           f'{_choice("shown", "yes", "Show it", _SHOW_KEY)}</Choices></View>'


@dataclass(frozen=True)
class Region:
    """What a rater painted on one side: Label Studio's own run lengths (RGBA) for a picture of this size."""

    side: str
    width_px: int
    height_px: int
    rle: tuple[int, ...]


@dataclass(frozen=True)
class Answer:
    """What one annotation says; `flag` excludes labels, and `fault` says why nothing of it can be used."""

    labels: Mapping[str, str]
    rationale: str = ""
    flag: str = ""
    fault: str = ""
    regions: tuple[Region, ...] = ()


def allowed(xml: str) -> dict[str, frozenset[str] | None]:
    """Answers that each control of the published XML accepts; None for free text."""
    controls: dict[str, frozenset[str] | None] = {}
    for element in ElementTree.fromstring(xml).iter():
        if element.tag in ("Choices", "BrushLabels"):
            named = [*element.iter("Choice"), *element.iter("Label")]
            controls[element.attrib["name"]] = frozenset(choice.attrib["alias"] for choice in named)
        elif element.tag == "TextArea":
            controls[element.attrib["name"]] = None
    return controls


def read_answer(result: Sequence[Mapping[str, Any]], controls: Mapping[str, frozenset[str] | None]) -> Answer:
    """An annotation's result against the published controls; a fault where anything in it does not fit."""
    labels: dict[str, str] = {}
    rationale = ""
    regions: list[Region] = []
    for item in result:
        name, value = item.get("from_name"), item.get("value")
        if not isinstance(name, str) or name not in controls or not isinstance(value, dict):
            return Answer({}, fault="unknown_control")
        choices = controls[name]
        if choices is None:
            rationale = _text(value)
            continue
        if name.startswith(BRUSH):
            region = _region(name.removeprefix(BRUSH), item, value)
            if region is None:
                return Answer({}, fault="unknown_region")
            regions.append(region)
            continue
        chosen = value.get("choices")
        if not isinstance(chosen, list) or len(chosen) != 1 or chosen[0] not in choices or name in labels:
            return Answer({}, fault="unknown_choice")
        labels[name] = chosen[0]
    return _complete(labels, rationale, controls, tuple(regions))


def _region(side: str, item: Mapping[str, Any], value: Mapping[str, Any]) -> Region | None:
    """A painted region, None where it is no mask."""
    width, height, rle = item.get("original_width"), item.get("original_height"), value.get("rle")
    if not isinstance(width, int) or not isinstance(height, int) or not isinstance(rle, list):
        return None
    if min(width, height) < 1 or len(rle) > _LONGEST_MASK or not all(
            isinstance(byte, int) and 0 <= byte < 256 for byte in rle):
        return None
    return Region(side, width, height, tuple(rle))


def _text(value: Mapping[str, Any]) -> str:
    """Typed text comes as a string or as a list of them."""
    text = value.get("text", "")
    return " ".join(text if isinstance(text, list) else [text]).strip() if text else ""


def _complete(labels: dict[str, str], rationale: str, controls: Mapping[str, frozenset[str] | None],
              regions: tuple[Region, ...]) -> Answer:
    labels.pop("shown", "")
    flag = labels.pop("flag", "")
    if flag:
        return Answer({}, rationale, flag)
    asked = {name for name, choices in controls.items()
             if choices is not None and name not in ("flag", "shown") and not name.startswith(BRUSH)}
    if not labels:
        return Answer({}, fault="empty_result")
    if set(labels) != asked:
        return Answer({}, fault="missing_answer")
    return Answer(labels, rationale, regions=regions)
