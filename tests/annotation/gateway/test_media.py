"""Media addresses: opaque, expiring, unforgeable; and bytes that tell nothing of who made them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from annotation.gateway.clean import clean_bytes
from annotation.gateway.media import media_router
from annotation.gateway.signing import BadTokenError, MediaSigner, looks_like_token, own_secret
from warehouse.media.decode import decode_frames, decode_image
from warehouse.media.encode import encode_mp4
from warehouse.media.store import MediaStore

SIGNER = MediaSigner(bytes(32))
PIXELS = np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3), dtype=np.uint8)
IDS = st.binary(min_size=32, max_size=32).map(bytes.hex)


def _telling_jpeg() -> bytes:
    exif, target = Image.Exif(), io.BytesIO()
    exif[0x0131] = "secret-model-x"
    Image.fromarray(PIXELS[0]).save(target, "JPEG", exif=exif, comment=b"secret-model-x", quality=95)
    return target.getvalue()


def _telling_png() -> bytes:
    info, target = PngImagePlugin.PngInfo(), io.BytesIO()
    info.add_text("parameters", "secret-model-x, steps 20")
    Image.fromarray(PIXELS[0]).save(target, "PNG", pnginfo=info)
    return target.getvalue()


@given(IDS, st.integers(1, 10**6))
def test_a_token_gives_its_medium_until_it_expires(media_id: str, ttl: int) -> None:
    token = SIGNER.sign(media_id, ttl, now=1e9)
    assert looks_like_token(token) and media_id[:12] not in token
    assert SIGNER.open(token, now=1e9 + ttl - 1) == media_id
    with pytest.raises(BadTokenError, match="expired"):
        SIGNER.open(token, now=1e9 + ttl)
    assert SIGNER.open(SIGNER.renew(token, 60)) == media_id


@given(IDS, st.integers(0, 52), st.integers(1, 255))
def test_a_changed_or_foreign_token_opens_nothing(media_id: str, place: int, change: int) -> None:
    import base64

    token = SIGNER.sign(media_id, 60)
    raw = bytearray(base64.urlsafe_b64decode(token + "="))
    raw[place] ^= change
    changed = base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
    for reader, given_token in ((SIGNER, changed), (MediaSigner(b"other" * 7), token)):
        for read in (reader.open, lambda text, signer=reader: signer.renew(text, 60)):
            with pytest.raises(BadTokenError, match="not made here"):
                read(given_token)


def test_a_secret_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    first = own_secret(tmp_path / "new" / "media.key")
    assert own_secret(tmp_path / "new" / "media.key") == first and len(first) == 32
    assert (tmp_path / "new" / "media.key").stat().st_mode & 0o077 == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["media.key"]


@pytest.mark.parametrize("data", [_telling_jpeg(), _telling_png()], ids=["jpeg", "png"])
def test_pictures_keep_their_pixels_and_nothing_else(data: bytes) -> None:
    cleaned = clean_bytes(data)
    assert b"secret-model-x" in data and b"secret" not in cleaned and b"parameters" not in cleaned
    assert np.array_equal(decode_image(cleaned), decode_image(data))


def test_clips_keep_their_frames_and_lose_the_encoders_signature() -> None:
    data = encode_mp4(PIXELS, 8)
    cleaned = clean_bytes(data, "mp4")
    assert b"x264" in data and b"x264" not in cleaned and b"Lavf" not in cleaned
    (before, times), (after, kept) = decode_frames(data), decode_frames(cleaned)
    assert np.array_equal(before, after) and times == kept


@pytest.fixture
def client(tmp_path: Path) -> tuple[TestClient, MediaStore]:
    store = MediaStore(tmp_path / "media")
    router = media_router(store, SIGNER, tmp_path / "clean", allow_origin="http://studio")
    return TestClient(Starlette(routes=[Mount("/media", router)])), store


def test_the_router_serves_what_is_signed(client: tuple[TestClient, MediaStore]) -> None:
    browser, store = client
    picture, clip = store.put(_telling_jpeg()).media_id, store.put(encode_mp4(PIXELS, 8)).media_id
    shown = browser.get("/media/" + SIGNER.sign(picture, 60), headers={"Origin": "http://studio"})
    assert shown.status_code == 200 and shown.headers["content-type"] == "image/png"
    assert shown.headers["access-control-allow-origin"] == "http://studio"
    assert picture not in str(shown.headers) and b"secret" not in shown.content
    part = browser.get("/media/" + SIGNER.sign(clip, 60), headers={"Range": "bytes=4-11", "Origin": "http://evil"})
    assert part.status_code == 206 and part.content[:4] == b"ftyp" and part.headers["content-type"] == "video/mp4"
    assert "access-control-allow-origin" not in part.headers


def test_the_router_refuses_everything_else(client: tuple[TestClient, MediaStore]) -> None:
    browser, store = client
    here = store.put(_telling_png()).media_id
    forged = MediaSigner(b"x" * 32).sign(here, 60)
    assert browser.get("/media/" + SIGNER.sign(here, -1)).status_code == 403
    assert browser.get("/media/" + forged).status_code == 403
    assert browser.get("/media/" + SIGNER.sign("0" * 64, 60)).status_code == 404
    for path in ("..%2f..%2fetc%2fpasswd", "../../../etc/passwd", "%2e%2e/media.key", here, "", "a/b"):
        assert browser.get("/media/" + path).status_code == 404, path
    assert browser.delete("/media/" + SIGNER.sign(here, 60)).status_code == 405
