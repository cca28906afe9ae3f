from __future__ import annotations

import io
import struct
import wave
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from warehouse import Warehouse
from warehouse.errors import MediaError, NotFoundError
from warehouse.media.decode import decode_frames, decode_image
from warehouse.media.encode import encode_mp4, encode_png
from warehouse.media.probe import MediaLimits, probe


def _picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def _clip(frames: int = 8) -> NDArray[np.uint8]:
    clip = np.zeros((frames, 32, 32, 3), np.uint8)
    for t in range(frames):
        clip[t, 8:24, 2 * t : 2 * t + 12] = (220, 40, 30)
    return clip


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _huge_png(side: int) -> bytes:
    """A small file whose header claims side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"\0")) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "not a picture")
    return buffer.getvalue()


def _tiff() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(_picture()).save(buffer, "TIFF")
    return buffer.getvalue()


def _sound() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(b"\0\0" * 800)
    return buffer.getvalue()


BAD = {
    "empty": (b"", {"not_media"}),
    "text": (b"hello world\n" * 50, {"not_media"}),
    "zip": (_zip(), {"not_media"}),
    "truncated": (encode_png(_picture())[:2000], {"truncated"}),
    "huge": (_huge_png(20_000), {"too_many_pixels"}),
    "large": (_huge_png(9_000), {"too_many_pixels"}),
    "tiff": (_tiff(), {"unsupported_format"}),
    "sound": (_sound(), {"not_media", "no_frames"}),
    "cut clip": (encode_mp4(_clip(), 4.0)[:400], {"not_media", "no_frames"}),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", BAD)
def test_bad_media_say_why(warehouse: Warehouse, name: str) -> None:
    data, reasons = BAD[name]
    with pytest.raises(MediaError) as caught:
        warehouse.media.put(data)
    assert caught.value.reason in reasons
    assert not [path for path in warehouse.media.root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", [name for name in BAD if name != "tiff"])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_decoding_bad_media_raises_the_same_family(name: str) -> None:
    with pytest.raises(MediaError):
        decode_frames(BAD[name][0])


def test_a_playlist_opens_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.mp4").write_bytes(encode_mp4(_clip(), 4.0))
    with pytest.raises(MediaError):
        probe(b"ffconcat version 1.0\nfile other.mp4\n")


def test_limits_are_options() -> None:
    data = encode_mp4(_clip(8), 4.0)
    with pytest.raises(MediaError, match="frames") as caught:
        probe(data, MediaLimits(frames=7))
    assert caught.value.reason == "too_large"
    with pytest.raises(MediaError):
        probe(data, MediaLimits(size_bytes=10))


def test_png_comes_back_exactly() -> None:
    pixels = _picture()
    assert np.array_equal(decode_image(encode_png(pixels)), pixels)
    info = probe(encode_png(pixels))
    assert (info.kind, info.width_px, info.height_px, info.frames) == ("image", 64, 48, 1)


def test_mp4_is_deterministic_and_close() -> None:
    clip = _clip()
    data = encode_mp4(clip, 4.0, zoom=4)
    assert data == encode_mp4(clip, 4.0, zoom=4)
    info = probe(data)
    assert (info.kind, info.frames, info.fps, info.duration_s, info.width_px) == ("video", 8, 4.0, 2.0, 128)
    frames, times = decode_frames(data)
    assert times == pytest.approx([i / 4 for i in range(8)])
    assert np.abs(frames[:, 2::4, 2::4].astype(int) - clip).mean() < 6


def test_max_frames_spreads_from_first_to_last() -> None:
    frames, times = decode_frames(encode_mp4(_clip(), 4.0), max_frames=2)
    assert frames.shape == (2, 32, 32, 3)
    assert times == [0.0, 1.75]


def test_the_store_keeps_bytes_once(warehouse: Warehouse) -> None:
    data = encode_png(_picture())
    first, second = warehouse.media.put(data), warehouse.media.put(data)
    assert first == second
    assert warehouse.media.get(first.media_id) == data
    assert warehouse.media.exists(first.media_id) and (warehouse.root / warehouse.media.uri(first)).is_file()
    assert len([path for path in warehouse.media.root.rglob("*") if path.is_file()]) == 1
    with pytest.raises(NotFoundError):
        warehouse.media.get("0" * 64)
