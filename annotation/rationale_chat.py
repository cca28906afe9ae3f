"""Rationales from any OpenAI-compatible vision server (vLLM, SGLang, hosted models): chat completions with pictures.

Answers are asked for as JSON, and read generously: a fence or words around the object are forgiven, a missing key is
not. A busy or silent server (429, 5xx, timeout, broken connection) is asked again with growing pauses, after its
Retry-After where it names one; a refused key or request is final. A model's refusal is an unusable answer, not an
error. No PyTorch and no transformers are needed here.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable
from typing import Any

import httpx

from annotation.rationales import FIRST, SECOND, Clip, ShownPair, UnusableAnswerError
from warehouse.errors import BackendError, ConfigError
from warehouse.hashing import content_id
from warehouse.media.encode import encode_png

WRITE = (
    "People compared two candidates made for this prompt: \"{prompt}\". {criteria}\n"
    "They preferred the {better} one. Say why in one or two short sentences that name what is visible. Speak of the "
    "preferred candidate without saying where it stands: never write first, second, left, right, 1 or 2.\n"
    'Answer with one JSON object: {{"rationale": "..."}}'
)
PREDICT = (
    "Two candidates were made for this prompt: \"{prompt}\". {criteria}\n"
    "Somebody explained which one they preferred: \"{rationale}\"\n"
    "Look at both and tell from this explanation alone which one was preferred.\n"
    'Answer with one JSON object: {{"better": "first"}} or {{"better": "second"}}'
)
_LONGEST_PAUSE_S = 30.0


class ChatWriter:
    """`url` ends in /v1; the key comes from the environment variable `key_variable`, where that is set.

    `sleep` is for tests.
    """

    def __init__(
        self,
        url: str,
        model: str,
        key_variable: str = "OPENAI_API_KEY",
        parallel: int = 4,
        tries: int = 4,
        timeout_s: float = 60.0,
        max_tokens: int = 200,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"not an HTTP address: {url!r}", hint="for example http://127.0.0.1:8000/v1")
        self.author_id, self.parallel = model, parallel
        self._url, self._tries, self._max_tokens, self._sleep = url.rstrip("/"), max(tries, 1), max_tokens, sleep
        key = os.environ.get(key_variable, "")
        self._http = httpx.Client(timeout=timeout_s, headers={"Authorization": f"Bearer {key}"} if key else {})

    @property
    def revision(self) -> str:
        """Follows from the words it is asked with; servers do not tell more than the model's name."""
        return content_id("chat writer", self.author_id, WRITE, PREDICT)[:12]

    def write(self, pair: ShownPair, better: str) -> str:
        asked = WRITE.format(prompt=pair.prompt, criteria=pair.criteria, better=better)
        return self._field(self._ask(asked, pair), "rationale")

    def predict(self, pair: ShownPair, rationale: str) -> str:
        asked = PREDICT.format(prompt=pair.prompt, criteria=pair.criteria, rationale=rationale)
        said = self._field(self._ask(asked, pair), "better").strip().casefold()
        if said not in (FIRST, SECOND):
            raise UnusableAnswerError(f"a verdict {said[:80]!r}", "bad_verdict")
        return said

    def _field(self, text: str, name: str) -> str:
        """The string under a key of the first JSON object in a text."""
        try:
            found = json.loads(text[text.index("{") : text.rindex("}") + 1])[name]
        except (ValueError, KeyError, TypeError) as error:
            raise UnusableAnswerError(f"no JSON object with {name!r}: {text[:200]!r}", "bad_json") from error
        if not isinstance(found, str):
            raise UnusableAnswerError(f"{name!r} is no text: {found!r}"[:200], "bad_json")
        return found

    def _ask(self, text: str, pair: ShownPair) -> str:
        content = [{"type": "text", "text": "First candidate:"}, *_pictures(pair.first),
                   {"type": "text", "text": "Second candidate:"}, *_pictures(pair.second),
                   {"type": "text", "text": text}]
        answer = self._post({"model": self.author_id, "messages": [{"role": "user", "content": content}],
                             "temperature": 0, "max_tokens": self._max_tokens})
        try:
            choice = answer["choices"][0]
            message = choice["message"]
            refused = message.get("refusal") or choice.get("finish_reason") == "content_filter"
            said = message.get("content")
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise UnusableAnswerError(f"no completion in the answer: {str(answer)[:200]}", "bad_json") from error
        if refused or not isinstance(said, str):
            raise UnusableAnswerError(f"the model refuses: {str(message.get('refusal') or said)[:200]}", "refused")
        return said

    def _post(self, body: dict[str, Any]) -> Any:
        """The JSON answer; BackendError after the last try, ConfigError for what no try will change."""
        said = ""
        for turn in range(self._tries):
            pause_s = 0.5 * 2.0**turn
            try:
                answer = self._http.post(f"{self._url}/chat/completions", json=body)
            except httpx.HTTPError as error:
                said = type(error).__name__
            else:
                if answer.is_success:
                    return _document(answer)
                said = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code not in (408, 429) and answer.status_code < 500:
                    hint = "is the key in the environment right, and does the server know the model?"
                    raise ConfigError(f"the server refuses: {said}", where=self._url, hint=hint)
                pause_s = _retry_after(answer, pause_s)
            if turn + 1 < self._tries:
                self._sleep(pause_s)
        raise BackendError(f"no answer after {self._tries} tries: {said}", where=self._url)


def _document(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise UnusableAnswerError(f"the answer is not JSON: {answer.text[:200]!r}", "bad_json") from error


def _retry_after(answer: httpx.Response, otherwise_s: float) -> float:
    said = answer.headers.get("retry-after", "")
    return min(float(said), _LONGEST_PAUSE_S) if said.isdigit() else otherwise_s


def _pictures(clip: Clip) -> list[dict[str, Any]]:
    """Pieces of a chat message; the frames of a clip after their times."""
    pieces: list[dict[str, Any]] = []
    for pixels, time_s in zip(clip.pixels, clip.times_s, strict=True):
        if len(clip.times_s) > 1:
            pieces.append({"type": "text", "text": f"<{time_s:.1f} s>"})
        data = base64.b64encode(encode_png(pixels)).decode()
        pieces.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}})
    return pieces
