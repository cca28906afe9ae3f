"""Cleaned media in object storage, for gateways whose line is too thin: bytes come from there by presigned address.

Raters' pages keep the gateway's own addresses, which hold for months; the gateway answers them with a redirect that
holds for minutes. An object's name is a keyed hash of the medium, so that neither the name nor a listing of the bucket
tells more than the address did. The bucket's CORS rule must allow the gateway's origin where raters paint on pictures.
"""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Any

from warehouse.errors import BackendError, ConfigError

_EXPIRES_S = 900


class Shelf:
    """Objects under `url` (s3://bucket/prefix), credentials and endpoint from the environment as for every AWS tool."""

    def __init__(self, url: str, secret: bytes) -> None:
        if not url.startswith("s3://") or not url.removeprefix("s3://").strip("/"):
            raise ConfigError(f"media can be presigned at s3://BUCKET/PREFIX, not {url!r}", where="--media")
        self.url, self._secret = url.rstrip("/"), secret
        self._there: set[str] = set()
        self._fs: Any = None

    def address(self, media_id: str, cleaned: Path) -> str:
        """A presigned address of the cleaned medium, stored first where it is not there; raises BackendError."""
        name = f"{self.url}/{hmac.digest(self._secret, b'shelf' + media_id.encode(), 'sha256').hex()}{cleaned.suffix}"
        try:
            if self._fs is None:
                import fsspec  # type: ignore[import-untyped]

                # Without a word, botocore presigns by version 2, which new regions refuse.
                self._fs = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True,
                                             config_kwargs={"signature_version": "s3v4"})
            if name not in self._there and not self._fs.exists(name):
                self._fs.put_file(str(cleaned), name)
            self._there.add(name)
            return str(self._fs.sign(name, expiration=_EXPIRES_S))
        except (OSError, TimeoutError) as error:
            raise BackendError(f"object storage does not take a medium: {type(error).__name__}", where=self.url,
                               hint="are AWS credentials set for the gateway, and may they write there?") from error
