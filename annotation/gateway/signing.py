"""Opaque, expiring addresses of media: the medium and the time are in the token, readable only with the secret.

A token is authenticated encryption in the SIV form (RFC 5297) with HMAC-SHA256 as the pseudo-random function: the
first 16 bytes are the tag of (expiry, medium) and at the same time the nonce of the key stream that hides them. So the
server keeps no table of tokens, and whoever has no secret can neither read, change nor make one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_TAG = 16
_EXPIRY = 5
_MEDIUM = 32
_SHAPE = re.compile(rf"[A-Za-z0-9_-]{{{(_TAG + _EXPIRY + _MEDIUM) * 4 // 3 + 1}}}")
_MEDIA_ID = re.compile(r"[0-9a-f]{64}")


class BadTokenError(ValueError):
    """A token that this secret did not sign, or whose time is over; the message never repeats the token."""


def own_secret(path: Path) -> bytes:
    """32 random bytes kept in `path` (mode 0600), made on first use; of two makers at once the first one wins."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".secret-")
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(temporary)
    return path.read_bytes()


@dataclass(frozen=True)
class MediaSigner:
    """Makes and reads tokens of media ids (64 hex digits) under one secret."""

    secret: bytes

    def sign(self, media_id: str, ttl_s: float, now: float | None = None) -> str:
        """A token for one medium that holds for `ttl_s` seconds; ValueError where the id is no SHA-256."""
        if not _MEDIA_ID.fullmatch(media_id):
            raise ValueError(f"a media id is 64 hex digits, got {media_id!r}")
        expires = int((time.time() if now is None else now) + ttl_s)
        plain = expires.to_bytes(_EXPIRY, "big") + bytes.fromhex(media_id)
        tag = self._tag(plain)
        return base64.urlsafe_b64encode(tag + self._hide(tag, plain)).rstrip(b"=").decode()

    def open(self, token: str, now: float | None = None) -> str:
        """The media id; BadTokenError where the token is forged, foreign or expired."""
        media_id, expires = self.read(token)
        if expires <= (time.time() if now is None else now):
            raise BadTokenError("this media address has expired")
        return media_id

    def renew(self, token: str, ttl_s: float) -> str:
        """The same medium for another `ttl_s` seconds, also where the token has expired; never a forged one."""
        return self.sign(self.read(token)[0], ttl_s)

    def read(self, token: str) -> tuple[str, int]:
        """(media id, expiry in seconds since 1970) of a token made with this secret."""
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (binascii.Error, ValueError):
            raw = b""
        tag, plain = raw[:_TAG], self._hide(raw[:_TAG], raw[_TAG:])
        if len(plain) != _EXPIRY + _MEDIUM or not hmac.compare_digest(tag, self._tag(plain)):
            raise BadTokenError("this media address was not made here")
        return plain[_EXPIRY:].hex(), int.from_bytes(plain[:_EXPIRY], "big")

    def _tag(self, plain: bytes) -> bytes:
        return hmac.digest(self.secret, b"media tag" + plain, "sha256")[:_TAG]

    def _hide(self, tag: bytes, text: bytes) -> bytes:
        """`text` (at most 64 bytes) xor the key stream of `tag`; its own inverse."""
        stream = b"".join(hmac.digest(self.secret, b"media key" + tag + bytes([block]), "sha256") for block in (0, 1))
        return bytes(one ^ other for one, other in zip(text, stream, strict=False))


def looks_like_token(text: str) -> bool:
    """True for the shape of a token; anything else is no address of ours at all."""
    return _SHAPE.fullmatch(text) is not None
