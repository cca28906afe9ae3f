"""Raters behind their links: the gateway logs in to Label Studio for them and keeps the cookies to itself.

The browser holds one cookie of ours, derived from the link by HMAC, so that neither reveals the other. No cookie and no
link is ever written to a log.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, field

import httpx

from annotation.label_studio.raters import log_in
from annotation.label_studio.state import Rater

COOKIE = "rewarddance_rater"


@dataclass
class Session:
    """One rater: our connection in their name, and their user on the server once known."""

    rater: Rater
    http: httpx.AsyncClient
    user: dict[str, object] = field(default_factory=dict)
    entering: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def number(self) -> int:
        """The rater's number on the server."""
        return int(str(self.user["id"]))

    async def enter(self, again: bool = False) -> None:
        """Log in where that has not been done, or `again` where the server forgot us. Raises BackendError."""
        async with self.entering:
            if self.user and not again:
                return
            cookies = await asyncio.to_thread(_logged_in, str(self.http.base_url), self.rater)
            self.http.cookies = cookies
            self.user = (await self.http.get("/api/current-user/whoami")).json()


def _logged_in(url: str, rater: Rater) -> httpx.Cookies:
    with httpx.Client(base_url=url, timeout=60.0) as http:
        log_in(http, rater)
        return http.cookies


class Sessions:
    """All raters of a server, by the cookie that their link gives."""

    def __init__(self, url: str, raters: list[Rater], secret: bytes) -> None:
        self._secret = secret
        self._by_link = {rater.link: self.cookie_of(rater.link) for rater in raters}
        self._by_cookie = {
            self.cookie_of(rater.link): Session(rater, httpx.AsyncClient(base_url=url, timeout=120.0))
            for rater in raters
        }

    def cookie_of(self, link: str) -> str:
        """The cookie's value for a link."""
        return hmac.new(self._secret, b"rater" + link.encode(), "sha256").hexdigest()

    def cookie_for(self, link: str) -> str | None:
        """The cookie for a link that exists."""
        return self._by_link.get(link)

    def find(self, cookie: str | None) -> Session | None:
        """The session of a cookie."""
        return self._by_cookie.get(cookie or "")
