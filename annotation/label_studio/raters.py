"""Raters' accounts: made through the server's own sign-up by invitation, with random passwords that nobody types.

A rater is known by a name from the list; their personal link opens the gateway, which logs in for them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from pathlib import Path

import httpx

from annotation.label_studio.client import StudioClient
from annotation.label_studio.state import Rater, Server
from warehouse.errors import BackendError, InvalidInputError

SQLITE_RATERS = 10
WHO = "/api/current-user/whoami"
_NAME = re.compile(r"[\w.+-]+(@[\w-]+(\.[\w-]+)+)?")


def read_names(path: Path) -> list[str]:
    """One name or e-mail address a line; empty lines and # comments are passed over, repeats count once."""
    lines = [line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines()]
    names = list(dict.fromkeys(line.lower() for line in lines if line))
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong:
        raise InvalidInputError(f"not a name or e-mail address: {wrong[0]!r}", where=str(path),
                                hint="one a line, letters, digits and . _ + - only")
    return names


def email_of(name: str) -> str:
    """The account's address; a bare name gets one that leads nowhere."""
    return name if "@" in name else f"{name}@rewarddance.local"


def add(server: Server, names: Sequence[str]) -> list[Rater]:
    """Accounts for the names that have none; the new raters, who are also put into `server`."""
    there = {rater.name for rater in server.raters}
    wanted = [name for name in names if name not in there]
    if not wanted:
        return []
    client = StudioClient(server.url, server.token)
    invitation = client.get("/api/invite")["invite_url"].rpartition("token=")[2]
    client.close()
    made = []
    for name in wanted:
        rater = Rater(name=name, email=email_of(name), password=secrets.token_urlsafe(18),
                      link=secrets.token_urlsafe(24))
        _sign_up(server.url, rater, invitation)
        made.append(rater)
        server.raters.append(rater)
    return made


def _sign_up(url: str, rater: Rater, invitation: str) -> None:
    """Make the account, and keep what its first session shows."""
    with httpx.Client(base_url=url, timeout=60.0) as http:
        form = _form(http, "/user/signup/", rater, {"token": invitation})
        if form.status_code != 302:
            raise BackendError(f"Label Studio made no account for {rater.name!r}: status {form.status_code}", where=url,
                               hint="an account of this name may exist from elsewhere: take another name")
        rater.cookies, rater.user = dict(http.cookies), http.get(WHO).json()


def _form(http: httpx.Client, path: str, rater: Rater, params: dict[str, str]) -> httpx.Response:
    """Fill in a Django form with its CSRF token."""
    try:
        http.get(path, params=params)
        body = {"email": rater.email, "password": rater.password, "csrfmiddlewaretoken": http.cookies.get("csrftoken")}
        return http.post(path, params=params, data=body, headers={"Referer": str(http.base_url)})
    except httpx.HTTPError as error:
        raise BackendError(f"Label Studio's form {path} does not work ({type(error).__name__})",
                           where=str(http.base_url), hint="rewarddance annotate status says whether it runs") from error


def log_in(http: httpx.Client, rater: Rater) -> None:
    """Give the client the rater's session cookie; raises BackendError."""
    if _form(http, "/user/login/", rater, {}).status_code != 302:
        raise BackendError(f"Label Studio does not let {rater.name!r} in", where=str(http.base_url),
                           hint="rewarddance annotate up makes accounts that are missing")
