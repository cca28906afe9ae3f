"""Media as data URIs, so that the page is one file: PNG as stored, clips as looping animated WebP."""

from __future__ import annotations

import base64
import io

from PIL import Image

from warehouse import Warehouse
from warehouse.media.decode import decode_frames

_LARGEST_PX = 512


def data_uri(data: bytes, mime: str) -> str:
    """`data:` URI of bytes."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def media_uri(data: bytes, frame_ms: int = 250) -> str:
    """Image or clip bytes as a data URI: a still picture becomes PNG or JPEG, a clip an endless WebP.

    Pictures wider than 512 px are scaled down; small pixel pictures are left alone and enlarged by the page.
    """
    frames, _ = decode_frames(data)
    pictures = [Image.fromarray(frame) for frame in frames]
    small = max(pictures[0].size) <= _LARGEST_PX // 2
    for picture in pictures:
        picture.thumbnail((_LARGEST_PX, _LARGEST_PX))
    target = io.BytesIO()
    if len(pictures) > 1:
        pictures[0].save(target, "WEBP", save_all=True, append_images=pictures[1:], duration=frame_ms, loop=0,
                         lossless=small, quality=80)
        return data_uri(target.getvalue(), "image/webp")
    pictures[0].save(target, "PNG" if small else "JPEG", quality=85)
    return data_uri(target.getvalue(), "image/png" if small else "image/jpeg")


def stored_uri(warehouse: Warehouse, media_id: str | None) -> str:
    """Data URI of a stored medium; empty where the bytes are not here."""
    if not media_id or not warehouse.media.exists(media_id):
        return ""
    return media_uri(warehouse.media.get(media_id))
