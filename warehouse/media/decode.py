"""Bytes -> RGB pixels, after the same limits as probing."""

from __future__ import annotations

import io

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from warehouse.errors import MediaError
from warehouse.media.probe import DEMUXERS, MediaLimits


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """uint8 [H, W, 3]; raises MediaError where the bytes are no whole picture."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > MediaLimits().pixels:
                raise MediaError(f"{picture.width} x {picture.height} pixels", reason="too_many_pixels")
            return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except Image.DecompressionBombError as error:
        raise MediaError(str(error), reason="too_many_pixels") from error
    except UnidentifiedImageError as error:
        raise MediaError(f"not a picture: {error}", reason="not_media") from error
    except (OSError, SyntaxError) as error:
        raise MediaError(f"the picture cannot be read to its end: {error}", reason="truncated") from error


def decode_frames(data: bytes, max_frames: int | None = None) -> tuple[NDArray[np.uint8], list[float]]:
    """Frames uint8 [T, H, W, 3] and their times in seconds; a picture is one frame at 0.

    `max_frames` takes that many, evenly spread from the first to the last.
    """
    try:
        return decode_image(data)[None], [0.0]
    except MediaError as error:
        if error.reason != "not_media":
            raise
    try:
        with av.open(io.BytesIO(data), mode="r", options=DEMUXERS) as container:
            stream = container.streams.video[0]
            if stream.width * stream.height > MediaLimits().pixels:
                raise MediaError(f"{stream.width} x {stream.height} pixels", reason="too_many_pixels")
            frames = list(container.decode(stream))
            if max_frames is not None and len(frames) > max_frames:
                frames = [frames[i] for i in np.linspace(0, len(frames) - 1, max_frames).round().astype(int)]
            # One for the clip, in this thread: to_ndarray() makes one a frame, which costs more than small frames do.
            to_rgb = VideoReformatter()
            pixels = [to_rgb.reformat(frame, format="rgb24", threads=1).to_ndarray() for frame in frames]
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise MediaError(f"the clip cannot be decoded: {error}", reason="truncated") from error
    if not frames:
        raise MediaError("the clip has no frames", reason="no_frames")
    return np.stack(pixels), [float(frame.time or 0.0) for frame in frames]
