"""Label Studio's HTTP interface: one small client, whose errors say what to do.

Reads are tried again where that helps (no connection, timeout, 5xx, a page instead of JSON); writes are not, because an
import that answered too late may have happened. What an error shows is the status and the start of the body, never
headers: they hold a session cookie.

Left out on purpose: label_studio_sdk, whose import takes seconds, whose errors print headers, and whose models hide
what we need.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Mapping
from typing import Any

import httpx

from warehouse.errors import BackendError, ConfigError, NotFoundError, RewardDanceError

_TRIES = 4
_FIRST_PAUSE_S = 0.25
_AGAIN = "rewarddance annotate status says whether it runs; the same command may be repeated"


class StudioClient:
    """Calls to one server under one token: a legacy token (40 hex digits) or a personal access token (a JWT).

    `clock` is the server's own time at its last answer, "" where it does not say.
    """

    def __init__(self, url: str, token: str, timeout_s: float = 120.0) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._access = ""
        self.clock = ""
        # Certificates take 0.07 s to load; plain HTTP has none.
        self._http = httpx.Client(base_url=self.url, timeout=timeout_s, follow_redirects=False,
                                  verify=self.url.startswith("https"))

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        """JSON of a GET, tried up to four times; BackendError, ConfigError (token), NotFoundError."""
        pause = _FIRST_PAUSE_S
        for left in reversed(range(_TRIES)):
            try:
                return self._call("GET", path, params=params)
            except BackendError:
                if not left:
                    raise
                time.sleep(pause)
                pause *= 2
        raise AssertionError("unreachable")

    def send(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """JSON of one POST, PATCH, PUT or DELETE; None where the answer is empty."""
        return self._call(method, path, params=params, body=body)

    def _call(self, method: str, path: str, params: Mapping[str, Any], body: Any = None) -> Any:
        answer = self._request(method, path, params, body)
        if answer.status_code == 401 and self._access:
            self._access = ""
            answer = self._request(method, path, params, body)
        return self._read(answer, f"{method} {path}")

    def _request(self, method: str, path: str, params: Mapping[str, Any], body: Any) -> httpx.Response:
        headers = {"Authorization": self._authorization()}
        return self._try(method, path, params=dict(params), json=body, headers=headers)

    def _try(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            what = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "does not answer"
            raise BackendError(f"Label Studio {what} ({type(error).__name__})", where=self.url, hint=_AGAIN) from error
        self.clock = answer.headers.get("date", "")
        return answer

    def _authorization(self) -> str:
        if re.fullmatch(r"[0-9a-f]{40}", self._token):
            return f"Token {self._token}"
        if not self._access:
            answer = self._try("POST", "/api/token/refresh", json={"refresh": self._token})
            self._access = self._read(answer, "POST /api/token/refresh")["access"]
        return f"Bearer {self._access}"

    def _read(self, answer: httpx.Response, what: str) -> Any:
        if not answer.is_success:
            raise self._error(answer, what)
        if not answer.content:
            return None
        try:
            return answer.json()
        except json.JSONDecodeError as error:
            raise BackendError(
                f"{what} answered {answer.status_code} with something that is not JSON: {_start(answer)}",
                where=self.url,
                hint="is this the address of Label Studio itself, and not of a proxy's login page?",
            ) from error

    def _error(self, answer: httpx.Response, what: str) -> RewardDanceError:
        said = f"{what} answered {answer.status_code}: {_start(answer)}"
        if answer.status_code in (401, 403):
            hint = "the token was revoked or belongs to another server: set LABEL_STUDIO_API_KEY to a new one"
            return ConfigError(f"Label Studio refuses the token ({said})", where=self.url, hint=hint)
        if answer.status_code == 404 and answer.content.startswith(b"{"):
            return NotFoundError(said, where=self.url, hint="was the project deleted?")
        if answer.status_code == 404:
            hint = "is this the address of Label Studio itself?"
            return ConfigError(f"no Label Studio answers there: {said}", where=self.url, hint=hint)
        if answer.status_code < 500 and answer.status_code not in (408, 429) and not answer.is_redirect:
            return ConfigError(f"Label Studio refuses the request: {said}", where=self.url)
        return BackendError(f"Label Studio is in trouble: {said}", where=self.url, hint=_AGAIN)


def _start(answer: httpx.Response) -> str:
    """Label Studio's own words, else the first words of a body, without mark-up."""
    with contextlib.suppress(json.JSONDecodeError, TypeError, LookupError, AttributeError):
        said = answer.json()
        return " ".join([said["detail"], *map(str, (said.get("validation_errors") or {}).values())])[:400]
    return " ".join(re.sub(r"<[^>]*>", " ", answer.text[:2000]).split())[:200]
