"""Media as raters may see them: the same pixels, and nothing else that could tell who made them.

A picture is written anew as PNG from its decoded pixels, so that EXIF, comments, colour profiles and the choice of file
format are gone; rotation by EXIF is not applied, because the reward model does not see it either. Of a clip the video
stream is copied bit by bit into a container without metadata, sound or other streams, and the encoder's signature is
taken out of H.264 (SEI units).
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.video.stream import VideoStream

from warehouse.errors import MediaError
from warehouse.media.decode import decode_image
from warehouse.media.encode import encode_png
from warehouse.media.probe import DEMUXERS
from warehouse.media.store import MediaStore

# H.264 unit type 6, "supplemental enhancement information": x264 writes its version and settings there.
_SEI = "filter_units=remove_types=6"
_CLIPS = {".mp4": "mp4", ".webm": "webm"}


def clean_bytes(data: bytes, container: str = "") -> bytes:
    """PNG of a picture (`container` ""), or the bare video stream in an `mp4` or `webm`; raises MediaError."""
    return _bare_clip(data, container) if container else encode_png(decode_image(data))


def _bare_clip(data: bytes, container: str) -> bytes:
    target = io.BytesIO()
    try:
        with (
            av.open(io.BytesIO(data), mode="r", options=DEMUXERS) as source,
            av.open(target, "w", format=container, options={"fflags": "+bitexact"}) as made,
        ):
            stream = source.streams.video[0]
            copy = made.add_stream_from_template(stream)
            copy.metadata.clear()
            for packet in _packets(source, stream):
                packet.stream = copy
                made.mux(packet)
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise MediaError(f"the clip cannot be copied: {error}", reason="truncated") from error
    return target.getvalue()


def _packets(source: InputContainer, stream: VideoStream) -> Iterator[av.Packet[VideoStream]]:
    """The stream's packets, without SEI units; the demuxer's closing packet has no time and flushes the filter."""
    keep = BitStreamFilterContext(_SEI, stream) if stream.codec_context.name == "h264" else None
    for packet in source.demux(stream):
        last = packet.dts is None
        if keep is not None:
            yield from keep.filter(None if last else packet)
        elif not last:
            yield packet


def clean_copy(store: MediaStore, media_id: str, cache: Path) -> Path:
    """File of the cleaned medium under `cache`, made on first use; raises NotFoundError or MediaError."""
    original = store.path(media_id)
    container = _CLIPS.get(original.suffix, "")
    target = cache / media_id[:2] / f"{media_id}.{container or 'png'}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(clean_bytes(original.read_bytes(), container))
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target
