"""A page that shows two candidates: one file without any outside reference, put together from the parts that pages
share, under a policy that lets nothing in from elsewhere.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from starlette.responses import HTMLResponse, Response

_HERE = Path(__file__).parent
# Where a part goes, and the file that it is.
_PARTS = {"/* pair.css */": "pair.css", "<!-- stage.html -->": "stage.html", "<!-- answers.html -->": "answers.html"}


def whole_page(file: Path) -> Response:
    """The page of a file; NONCE in it is this answer's own."""
    text = file.read_text(encoding="utf-8")
    for mark, part in _PARTS.items():
        text = text.replace(mark, (_HERE / part).read_text(encoding="utf-8").strip())
    nonce = secrets.token_urlsafe(12)
    policy = (f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data:; "
              "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
    return HTMLResponse(text.replace("NONCE", nonce), headers=headers)
