"""Files of Label Studio's page (scripts, styles, fonts), kept in memory once a rater asked for them.

They are the same for everybody and weigh megabytes: the server sends each once, browsers get them compressed, and ask
again by their hash. They change with the version of Label Studio only, whose start is a start of the gateway too.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

_MOST_BYTES = 256 * 2**20
_LEAST_GZIPPED = 1024
_TEXT = ("text/", "application/javascript", "application/json", "image/svg")
_AGE = "private, max-age=3600"


@dataclass(frozen=True)
class Asset:
    """A file: its bytes, the same by gzip where that is smaller (else empty), its kind and its hash."""

    body: bytes
    gzipped: bytes
    kind: str
    tag: str

    def answer(self, request: Request) -> Response:
        """304 where the browser has it, else the bytes in the form that it takes."""
        headers = {"etag": self.tag, "cache-control": _AGE, "vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == self.tag:
            return Response(b"", 304, headers)
        if self.gzipped and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.gzipped, 200, headers | {"content-encoding": "gzip"}, self.kind)
        return Response(self.body, 200, headers, self.kind)


class Assets:
    """Files by address, up to a quarter of a gigabyte; beyond that they are passed on and not kept."""

    def __init__(self) -> None:
        self._kept: dict[str, Asset] = {}
        self._bytes = 0

    def find(self, request: Request) -> Response | None:
        """The answer from memory."""
        asset = self._kept.get(_address(request))
        return asset.answer(request) if asset else None

    async def keep(self, request: Request, answer: Response) -> Response:
        """Keep what the server answered where it is a whole file, and answer with it."""
        body, kind = bytes(answer.body), answer.headers.get("content-type", "")
        answer.headers["cache-control"] = _AGE
        if request.method != "GET" or answer.status_code != 200:
            return answer
        gzipped = b""
        if len(body) >= _LEAST_GZIPPED and kind.startswith(_TEXT):
            gzipped = await asyncio.to_thread(gzip.compress, body, 6)
        tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        asset = Asset(body, gzipped if len(gzipped) < len(body) else b"", kind, tag)
        if self._bytes + len(body) + len(gzipped) <= _MOST_BYTES:
            self._kept[_address(request)] = asset
            self._bytes += len(body) + len(gzipped)
        return asset.answer(request)


def _address(request: Request) -> str:
    return f"{request.url.path}?{request.url.query}"
