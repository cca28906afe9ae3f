"""Machine-written reasons from a server that misbehaves: those that carry the verdict are kept, the rest counted."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotation import rationales
from annotation.rationale_chat import ChatWriter
from annotation.rationales import Clip, RationaleConfig, ShownPair, UnusableAnswerError, explain
from tests.annotation.world import candidates
from tests.rm.servers import brightness, served
from warehouse import Warehouse, open_warehouse
from warehouse.errors import BackendError, ConfigError
from warehouse.media.encode import encode_png
from warehouse.records import pair_row

PAIR = ShownPair("a thing", "Which is better?", Clip(np.zeros((1, 8, 8, 3), np.uint8), (0.0,)),
                 Clip(np.full((1, 8, 8, 3), 200, np.uint8), (0.0,)))
Said = tuple[int, Any]


def _said(text: str | None, **more: Any) -> Said:
    return 200, {"choices": [{"message": {"content": text, **more}}]}


def _shown(body: dict[str, Any]) -> tuple[str, float, float]:
    """The last text of a request and the brightness of both pictures."""
    pieces = body["messages"][0]["content"]
    first, second = (brightness(piece["image_url"]["url"].partition("base64,")[2])
                     for piece in pieces if piece["type"] == "image_url")
    return pieces[-1]["text"], first, second


def honest(path: str, body: dict[str, Any], headers: dict[str, str]) -> Said:
    """Says brighter or darker, and finds the brighter or darker one again."""
    text, first, second = _shown(body)
    told = re.search(r"preferred the (first|second) one", text)
    if told:
        better, other = (first, second) if told.group(1) == "first" else (second, first)
        return _said(f'Sure!\n```json\n{{"rationale": "it is {"brighter" if better > other else "darker"}"}}\n```')
    wanted = "first" if (first > second) == ("brighter" in text) else "second"
    return _said(f'{{"better": "{wanted}"}}')


def _writer(url: str, **more: Any) -> ChatWriter:
    return ChatWriter(f"{url}/v1", "stand-in", sleep=lambda _: None, **more)


def test_a_reason_is_told_back_with_the_sides_exchanged() -> None:
    with served(honest) as url:
        assert explain(_writer(url), PAIR, "second")[0] == "it is brighter"
        text, checks = explain(_writer(url), PAIR, "first")
    assert text == "it is darker" and checks["told"] == checks["predicted"] == "first"


def test_a_reason_that_names_a_place_is_not_told_back() -> None:
    def placed(path: str, body: dict[str, Any], headers: dict[str, str]) -> Said:
        text = _shown(body)[0]
        told = re.search(r"preferred the (first|second) one", text)
        return _said(f'{{"rationale": "the {told.group(1)} is better"}}') if told else _said(
            f'{{"better": "{"first" if "the first is" in text else "second"}"}}')

    with served(placed) as url, pytest.raises(UnusableAnswerError) as caught:
        explain(_writer(url), PAIR, "first")
    assert caught.value.reason == "unpredictable"


@pytest.mark.parametrize(("answer", "reason"), [
    (_said("no braces at all"), "bad_json"), (_said('{"reason": "x"}'), "bad_json"),
    (_said('{"rationale": 3}'), "bad_json"),
    (_said(None, refusal="I cannot look at this"), "refused"), (_said(""), "bad_json"), ((200, {"odd": 1}), "bad_json"),
    (_said('{"rationale": "  "}'), "empty"), (_said('{"rationale": "' + "x" * 2000 + '"}'), "too_long"),
    ((200, ["list"]), "bad_json"), (_said('{"rationale": "good", "better": "third"}'), "bad_verdict"),
])
def test_unusable_answers_have_a_reason(answer: Said, reason: str) -> None:
    with served(lambda *_: answer) as url, pytest.raises(UnusableAnswerError) as caught:
        explain(_writer(url), PAIR, "first")
    assert caught.value.reason == reason


def test_a_busy_server_is_asked_again_and_a_refused_key_is_not() -> None:
    asked: Counter[str] = Counter()

    def busy(path: str, body: dict[str, Any], headers: dict[str, str]) -> Said:
        asked["busy"] += 1
        return (429, {"error": "slow down"}) if asked["busy"] < 3 else honest(path, body, headers)

    with served(busy) as url:
        assert _writer(url).write(PAIR, "second") == "it is brighter" and asked["busy"] == 3
        with pytest.raises(BackendError, match="after 1 tries: 429"):
            asked.clear()
            _writer(url, tries=1).write(PAIR, "second")
    with served(lambda *_: (401, {"error": "no such key"})) as url, pytest.raises(ConfigError, match="401"):
        _writer(url).write(PAIR, "second")
    with pytest.raises(BackendError, match="ConnectError"):
        _writer("http://127.0.0.1:1", tries=2).write(PAIR, "second")
    with pytest.raises(ConfigError, match="HTTP address"):
        ChatWriter("ftp://x", "m")


def test_a_silent_server_is_not_waited_for() -> None:
    hold = threading.Event()

    def silent(*_: Any) -> Said:
        hold.wait(20)
        return _said("late")

    with served(silent) as url:
        with pytest.raises(BackendError, match="Timeout"):
            _writer(url, tries=1, timeout_s=0.2).write(PAIR, "second")
        hold.set()


@pytest.fixture(scope="module")
def preferred(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """Six pairs of a dark and a bright picture, a clear consensus on five of them: the brighter one."""
    with open_warehouse(str(tmp_path_factory.mktemp("preferred"))) as warehouse:
        media = {index: warehouse.media.put(encode_png(np.full((8, 8, 3), 40 + 15 * index, np.uint8))).media_id
                 for index in range(12)}
        candidates(warehouse, prompts=6, each=2, media=media)
        rows = warehouse.rows("SELECT prompt_id, candidate_id, media_id FROM candidates ORDER BY prompt_id, seed")
        for number, (dark, bright) in enumerate(zip(rows[::2], rows[1::2], strict=True)):
            pair = pair_row(dark["prompt_id"], dark["candidate_id"], bright["candidate_id"], "t2i", "random", "t")
            p_a = 0.6 if number == 5 else 0.9 if pair["candidate_a"] == bright["candidate_id"] else 0.1
            warehouse.merge("pairs", [pair])
            warehouse.merge("preferences", [{"preference_id": f"f{number}", "consensus_id": "c", "dimension": "overall",
                                             "pair_id": pair["pair_id"], "p_a": p_a, "split_population": False}])
        yield warehouse


def test_the_stage_keeps_what_was_accepted_and_asks_again(preferred: Warehouse, tmp_path: Path) -> None:
    calls: Counter[str] = Counter()

    def moody(path: str, body: dict[str, Any], headers: dict[str, str]) -> Said:
        """The first pair is never explained well; one more gets no answer the first time."""
        calls["all"] += 1
        text = _shown(body)[0]
        if "number 0" in text:
            return _said("I would rather not.", refusal="no")
        if "number 1" in text and calls["late"] == 0:
            calls["late"] += 1
            return 503, {}
        return honest(path, body, headers)

    clear = "SELECT text FROM pairs JOIN prompts USING (prompt_id) JOIN preferences USING (pair_id) WHERE p_a <> 0.6"
    texts = [row["text"] for row in preferred.rows(clear)]
    refused, late = (sum(number in text for text in texts) for number in ("number 0", "number 1"))
    with served(moody) as url:
        options = {"url": f"{url}/v1", "model": "m", "tries": 1, "parallel": 1}
        config = RationaleConfig(consensus_id="c", options=options)
        if late:
            with pytest.raises(BackendError, match="1 of 5 pairs got no answer"):
                rationales.run(config, preferred)
        receipt = rationales.run(config, preferred)
        assert not rationales.run(config, preferred).changed
    rows = preferred.rows("SELECT * FROM rationales")
    assert receipt.rejected == ({"refused": 1} if refused else {})
    assert len(rows) == 5 - refused and receipt.counts["already_there"] == (len(rows) - 1 if late else 0)
    assert all(row["verified"] and row["author_id"] == "m" and row["text"] == "it is brighter" for row in rows)
    assert all('"predicted"' in row["checks_json"] and row["model_revision"] for row in rows)
    [count] = rationales.counts(preferred)
    assert (count["author"], count["rationales"], count["verified"]) == ("m", len(rows), len(rows))


def test_nothing_to_explain_and_wrong_options(preferred: Warehouse) -> None:
    with pytest.raises(ConfigError, match="no clear pair"):
        rationales.run(RationaleConfig(consensus_id="another"), preferred)
    with pytest.raises(ConfigError, match="does not take"):
        rationales.run(RationaleConfig(consensus_id="c", options={"colour": "red"}), preferred)
