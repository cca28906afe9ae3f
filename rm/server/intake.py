"""Media of a request -> frames: every limit is checked before anything is decoded."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Callable

import numpy as np
from PIL import Image, UnidentifiedImageError

from rm.context import Frames
from rm.reward_model import frames_of, sampled
from rm.server.fetch import UrlFetcher, no_urls
from rm.server.schema import Media
from rm.server.settings import ServerSettings
from warehouse.errors import InvalidInputError, MediaError
from warehouse.hashing import sha256_hex
from warehouse.media.decode import decode_image
from warehouse.media.probe import MediaLimits, probe
from warehouse.media.store import MediaStore


class Intake:
    """Reads media as one server's settings allow; `max_frames` is what the model is shown."""

    def __init__(self, settings: ServerSettings, store: MediaStore, max_frames: int) -> None:
        self._limits = MediaLimits(settings.media_bytes, settings.pixels, settings.frames)
        self._store, self._max_frames, self._clip_pixels = store, max_frames, settings.clip_pixels
        self._fetch: Callable[[str], bytes] = UrlFetcher(
            settings.media_bytes, settings.url_timeout_s, settings.url_hosts) if settings.urls else no_urls

    def frames(self, media: Media) -> Frames:
        """The frames that the model will see, named by their content.

        Raises MediaError, InvalidInputError, NotFoundError, or ConfigError where URLs are off.
        """
        if media.frames is not None:
            return self._listed(media.frames, media.times_s or [])
        data = self._bytes(media)
        info = probe(data, self._limits)
        if info.frames * info.width_px * info.height_px > max(self._clip_pixels, self._limits.pixels):
            raise MediaError(f"{info.frames} frames of {info.width_px} x {info.height_px} pixels, at most "
                             f"{self._clip_pixels} pixels are accepted", reason="too_many_pixels")
        return frames_of(data, self._max_frames, info.media_id)

    def _bytes(self, media: Media) -> bytes:
        if media.base64 is not None:
            return self._decoded(media.base64)
        if media.media_id is not None:
            if len(media.media_id) != 64 or not set(media.media_id) <= set("0123456789abcdef"):
                raise InvalidInputError("a media id is 64 hex digits", where=media.media_id[:80])
            return self._store.get(media.media_id)
        return self._fetch(media.url or "")

    def _decoded(self, text: str) -> bytes:
        """Bytes of base64, with or without the head of a data URL."""
        body = text.partition("base64,")[2] if text.startswith("data:") else text
        if len(body) * 3 // 4 > self._limits.size_bytes:
            raise MediaError(f"at most {self._limits.size_bytes} bytes are accepted", reason="too_large")
        try:
            return base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidInputError(f"not base64: {error}") from error

    def _listed(self, frames: list[str], times_s: list[float]) -> Frames:
        """Pictures as a clip; only those that will be shown are decoded."""
        if len(frames) > self._limits.frames:
            raise MediaError(f"more than {self._limits.frames} frames", reason="too_large")
        places = sampled(Frames(np.arange(len(frames)), tuple(times_s)), self._max_frames).pixels
        data = [self._decoded(frames[int(place)]) for place in places]
        for each in data:
            self._check_pixels(each)
        pixels = [decode_image(each) for each in data]
        if len({picture.shape for picture in pixels}) > 1:
            raise InvalidInputError("the frames of a clip have one size")
        name = sha256_hex(b"".join(bytes.fromhex(sha256_hex(each)) for each in data))
        return Frames(np.stack(pixels), tuple(times_s[int(place)] for place in places), name)

    def _check_pixels(self, data: bytes) -> None:
        """A picture's size, from its header."""
        try:
            with Image.open(io.BytesIO(data)) as picture:
                if picture.width * picture.height > self._limits.pixels:
                    raise MediaError(f"{picture.width} x {picture.height} pixels", reason="too_many_pixels")
        except Image.DecompressionBombError as error:
            raise MediaError(str(error), reason="too_many_pixels") from error
        except UnidentifiedImageError as error:
            raise MediaError("a frame is not a picture", reason="not_media") from error
