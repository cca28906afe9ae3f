"""What bytes claim to be, read from their header before anything is decoded; an extension is never trusted.

Every limit is checked here: bytes, pixels, frames. A picture of 20,000 x 20,000 pixels is refused from its header.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from warehouse.errors import MediaError
from warehouse.hashing import sha256_hex

if TYPE_CHECKING:
    import av

# Demuxers that read one file and nothing else: playlists (HLS, ffconcat) would open other files by name.
DEMUXERS = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"}
IMAGE_FORMATS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "BMP": "bmp"}


@dataclass(frozen=True)
class MediaLimits:
    """Largest accepted file, picture and clip."""

    size_bytes: int = 512 * 1024 * 1024
    pixels: int = 64_000_000
    frames: int = 10_000


@dataclass(frozen=True)
class MediaInfo:
    """A probed file; `media_id` is the SHA-256 of its bytes. Images have one frame and no rate."""

    media_id: str
    kind: str
    format: str
    extension: str
    size_bytes: int
    width_px: int
    height_px: int
    frames: int
    fps: float | None
    duration_s: float | None


def _check_pixels(width: int, height: int, limits: MediaLimits) -> None:
    if width * height > limits.pixels:
        raise MediaError(f"{width} x {height} pixels, at most {limits.pixels} are accepted", reason="too_many_pixels")


def _probe_image(data: bytes, limits: MediaLimits) -> MediaInfo | None:
    """None where the bytes are no picture that Pillow knows."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            name, (width, height) = picture.format or "", picture.size
            if name not in IMAGE_FORMATS:
                raise MediaError(f"pictures of format {name} are not accepted", reason="unsupported_format")
            _check_pixels(width, height, limits)
            picture.load()
    except UnidentifiedImageError:
        return None
    except Image.DecompressionBombError as error:
        raise MediaError(str(error), reason="too_many_pixels") from error
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(f"the picture cannot be read to its end: {error}", reason="truncated") from error
    return MediaInfo(
        sha256_hex(data), "image", name.lower(), IMAGE_FORMATS[name], len(data), width, height, 1, None, None
    )


def _count_frames(container: av.container.InputContainer, limits: MediaLimits) -> int:
    count = 0
    for packet in container.demux(video=0):
        count += packet.size > 0
        if count > limits.frames:
            raise MediaError(f"more than {limits.frames} frames", reason="too_large")
    return count


def _probe_video(data: bytes, limits: MediaLimits) -> MediaInfo:
    # 16 MB of codecs, which most commands never need.
    import av

    try:
        with av.open(io.BytesIO(data), mode="r", options=DEMUXERS) as container:
            if not container.streams.video:
                raise MediaError("the clip has no video stream", reason="no_frames")
            stream = container.streams.video[0]
            width, height, rate = stream.width, stream.height, stream.average_rate
            _check_pixels(width, height, limits)
            name = container.format.name
            frames = _count_frames(container, limits)
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f"neither a picture nor a clip: {error}", reason="not_media") from error
    if frames == 0 or width == 0:
        raise MediaError("the clip has no frames", reason="no_frames")
    fps = float(rate) if rate else None
    extension = "webm" if "webm" in name else "mp4"
    return MediaInfo(
        sha256_hex(data),
        "video",
        extension,
        extension,
        len(data),
        width,
        height,
        frames,
        fps,
        frames / fps if fps else None,
    )


def probe(data: bytes, limits: MediaLimits | None = None) -> MediaInfo:
    """Facts about media bytes; raises MediaError whose `reason` is one of truncated, too_many_pixels, too_large,
    not_media, no_frames, unsupported_format."""
    limits = limits or MediaLimits()
    if len(data) > limits.size_bytes:
        raise MediaError(f"{len(data)} bytes, at most {limits.size_bytes} are accepted", reason="too_large")
    if not data:
        raise MediaError("no bytes", reason="not_media")
    return _probe_image(data, limits) or _probe_video(data, limits)
