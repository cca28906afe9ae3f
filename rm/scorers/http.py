"""JSON over HTTP with patience: busy and failing servers are asked again, refusals are not.

Standard library only. Answers 429 and 5xx and connections that break are tried again, after the server's Retry-After
where it says one; any other refusal is final.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from warehouse.errors import BackendError, ConfigError

ATTEMPTS = 4
LONGEST_WAIT_S = 30.0


def post_json(url: str, body: Mapping[str, Any], headers: Mapping[str, str], timeout_s: float) -> Any:
    """The JSON answer; raises ConfigError for a refusal, BackendError once patience is at its end."""
    return _asked(url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}, timeout_s)


def get_json(url: str, headers: Mapping[str, str], timeout_s: float) -> Any:
    """As `post_json`, without a body."""
    return _asked(url, None, headers, timeout_s)


def _asked(url: str, data: bytes | None, headers: Mapping[str, str], timeout_s: float) -> Any:
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"not an HTTP address: {url!r}")
    request = urllib.request.Request(url, data, dict(headers))
    said = ""
    for attempt in range(ATTEMPTS):
        wait_s = 0.2 * 2**attempt
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            said = f"{error.code} {error.read(500).decode(errors='replace')}"
            if error.code != 429 and error.code < 500:
                raise ConfigError(f"the server refuses: {said}", where=url) from error
            wait_s = _seconds(error.headers.get("Retry-After"), wait_s)
        except ValueError as error:
            raise BackendError(f"the answer is not JSON: {error}", where=url) from error
        except OSError as error:
            said = str(error)
        if attempt + 1 < ATTEMPTS:
            time.sleep(wait_s)
    raise BackendError(f"no answer after {ATTEMPTS} attempts: {said}", where=url, hint="is the server up?")


def _seconds(said: str | None, otherwise: float) -> float:
    """Retry-After in seconds; a date, which few servers send, is not read."""
    return min(float(said), LONGEST_WAIT_S) if said and said.isdigit() else otherwise
