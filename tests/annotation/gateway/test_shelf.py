"""Media from object storage: a redirect that expires, cleaned bytes behind it, names that tell nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from annotation.gateway.media import media_router
from annotation.gateway.shelf import Shelf
from annotation.gateway.signing import MediaSigner
from tests.warehouse.catalog import servers
from warehouse.errors import BackendError, ConfigError
from warehouse.media.decode import decode_image
from warehouse.media.store import MediaStore

pytestmark = pytest.mark.s3
SIGNER = MediaSigner(bytes(32))


@pytest.fixture
def endpoint() -> Iterator[str]:
    with servers.s3() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in (("AWS_ENDPOINT_URL", address), ("AWS_ACCESS_KEY_ID", "test"),
                            ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_DEFAULT_REGION", "us-east-1")):
            patch.setenv(name, value)
        yield address


def test_a_medium_is_redirected_to_a_presigned_copy_without_its_story(endpoint: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    told, target = PngImagePlugin.PngInfo(), io.BytesIO()
    told.add_text("parameters", "secret-model-x")
    Image.fromarray(pixels).save(target, "PNG", pnginfo=told)
    store = MediaStore(tmp_path / "media")
    media_id = store.put(target.getvalue()).media_id
    router = media_router(store, SIGNER, tmp_path / "clean", shelf=Shelf("s3://lake/shown", b"key"))
    browser = TestClient(Starlette(routes=[Mount("/media", router)]), follow_redirects=False)
    answers = [browser.get("/media/" + SIGNER.sign(media_id, 60)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [307, 307]
    address = urlsplit(answers[0].headers["location"])
    assert f"{address.scheme}://{address.netloc}" == endpoint and media_id not in address.path
    assert int(parse_qs(address.query).get("X-Amz-Expires", ["0"])[0]) == 900 and "X-Amz-Signature" in address.query
    shown = httpx.get(answers[0].headers["location"])
    assert shown.headers["content-type"] == "image/png" and b"secret" not in shown.content
    assert np.array_equal(decode_image(shown.content), pixels)
    assert browser.get("/media/" + SIGNER.sign(media_id, -1)).status_code == 403


def test_places_that_are_none(tmp_path: Path, endpoint: str) -> None:
    for url in ("https://bucket/x", "s3://", ""):
        with pytest.raises(ConfigError, match="s3://BUCKET/PREFIX"):
            Shelf(url, b"key")
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(BackendError, match="object storage"):
        Shelf("s3://absent/x", b"key").address("0" * 64, tmp_path / "a.png")
