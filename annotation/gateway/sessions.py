"""Raters behind their links: the gateway speaks to Label Studio in their name and keeps the cookies to itself.

The browser holds one cookie of ours, derived from the link by HMAC, so that neither reveals the other. No cookie and no
link is ever written to a log. Requests of all raters share a few connections and wait here, first come, first served:
Label Studio is one Python process, in which fifty requests at once make each other slow.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, field

import httpx

from annotation.label_studio.raters import WHO, log_in
from annotation.label_studio.state import Rater

COOKIE = "rewarddance_rater"
_AT_ONCE = 6


@dataclass
class Session:
    """One rater: our connection in their name, and their user on the server ({} before the first login)."""

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
            self.http.cookies = await asyncio.to_thread(_logged_in, str(self.http.base_url), self.rater)
            self.user = (await self.http.get(WHO)).json()


def _logged_in(url: str, rater: Rater) -> httpx.Cookies:
    with httpx.Client(base_url=url, timeout=60.0) as http:
        log_in(http, rater)
        return http.cookies


class Sessions:
    """All raters of a server, by the cookie that their link gives."""

    def __init__(self, url: str, raters: list[Rater], secret: bytes) -> None:
        self._secret = secret
        self._by_link = {rater.link: self.cookie_of(rater.link) for rater in raters}
        shared = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=_AT_ONCE, max_keepalive_connections=_AT_ONCE)
        )
        self._by_cookie = {self.cookie_of(rater.link): Session(rater, _client(url, rater, shared), dict(rater.user))
                           for rater in raters}

    def cookie_of(self, link: str) -> str:
        """The cookie's value for a link."""
        return hmac.new(self._secret, b"rater" + link.encode(), "sha256").hexdigest()

    def cookie_for(self, link: str) -> str | None:
        """The cookie for a link that exists."""
        return self._by_link.get(link)

    def find(self, cookie: str | None) -> Session | None:
        """The session of a cookie."""
        return self._by_cookie.get(cookie or "")


def _client(url: str, rater: Rater, transport: httpx.AsyncHTTPTransport) -> httpx.AsyncClient:
    """A client with a cookie jar of its own, in which lies what the rater's sign-up left."""
    host = httpx.URL(url).host
    jar = httpx.Cookies()
    for name, value in rater.cookies.items():
        # As a cookie jar names the host itself: a name without dots gets one.
        jar.set(name, value, domain=host if "." in host else f"{host}.local")
    return httpx.AsyncClient(base_url=url, transport=transport, cookies=jar, timeout=120.0)
