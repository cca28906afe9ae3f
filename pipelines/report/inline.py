"""Media as data URIs, so that the page is one file: pictures as PNG or JPEG, clips as looping animated WebP.

Small pixel pictures are shown at a whole-number zoom, so that every pixel of theirs stays a square. Clips of more
frames than a page needs are thinned evenly and play at their own speed.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from warehouse import Warehouse
from warehouse.errors import MediaError
from warehouse.media.decode import decode_frames

_LARGEST_PX = 320
_SMALL_PX = 64
_MOST_FRAMES = 16


@dataclass(frozen=True)
class Picture:
    """An inline picture or clip: its data URI, the size to show it at, and whether its pixels are to stay square."""

    uri: str
    width_px: int
    height_px: int
    pixel: bool
    frames: int


def data_uri(data: bytes, mime: str) -> str:
    """`data:` URI of bytes."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def inline(data: bytes, wanted_px: int = 128) -> Picture:
    """Media bytes as a Picture: small ones enlarged to about `wanted_px` by a whole number, large ones scaled down."""
    frames, times_s = decode_frames(data, _MOST_FRAMES)
    pictures = [Image.fromarray(frame) for frame in frames]
    pixel = max(pictures[0].size) <= _SMALL_PX
    for picture in pictures:
        picture.thumbnail((_LARGEST_PX, _LARGEST_PX))
    width, height = pictures[0].size
    zoom = max(1, wanted_px // width) if pixel else 1
    frame_ms = round(1000 * (times_s[-1] - times_s[0]) / max(1, len(times_s) - 1))
    return Picture(_encoded(pictures, pixel, frame_ms), width * zoom, height * zoom, pixel, len(pictures))


def _encoded(pictures: list[Image.Image], pixel: bool, frame_ms: int) -> str:
    target = io.BytesIO()
    if len(pictures) > 1:
        pictures[0].save(target, "WEBP", save_all=True, append_images=pictures[1:], duration=max(frame_ms, 40), loop=0,
                         lossless=pixel, quality=65)
        return data_uri(target.getvalue(), "image/webp")
    pictures[0].save(target, "PNG" if pixel else "JPEG", quality=82)
    return data_uri(target.getvalue(), "image/png" if pixel else "image/jpeg")


def stored(warehouse: Warehouse, media_id: str | None, wanted_px: int = 128) -> Picture | None:
    """A stored medium; None where the bytes are not here or do not decode."""
    if not media_id or not warehouse.media.exists(media_id):
        return None
    try:
        return inline(warehouse.media.get(media_id), wanted_px)
    except MediaError:
        return None
