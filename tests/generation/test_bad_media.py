"""Media that claim to be something else, through `generate ingest`: every one is a counted reject with its reason."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import av
import numpy as np
import pytest

from generation.ingest import IngestConfig, run
from warehouse import Warehouse
from warehouse.errors import InvalidInputError
from warehouse.importers.answer import import_answer
from warehouse.media.encode import encode_png

DATA = Path(__file__).resolve().parents[1] / "data"


def huge_png(side_px: int) -> bytes:
    """A whole PNG of one grey level, tiny as a file, `side_px` squared when decoded."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    packer = zlib.compressobj(9)
    line = b"\0" * (side_px // 8 + 1)
    data = b"".join(packer.compress(line) for _ in range(side_px)) + packer.flush()
    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def video_without_frames() -> bytes:
    """An MP4 whose only stream is silence."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    return buffer.getvalue()


def zip_named_png() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("payload.txt", "not a picture")
    return buffer.getvalue()


def test_each_bad_file_is_a_reject_and_the_good_ones_stay(warehouse: Warehouse, tmp_path: Path) -> None:
    whole = (DATA / "t2v-metrics-images/0/DeepFloyd.jpg").read_bytes()
    files = {
        "good.jpg": whole, "truncated.jpg": whole[: len(whole) // 2], "huge.png": huge_png(20_000),
        "zip.png": zip_named_png(), "silent.mp4": video_without_frames(), "empty.png": b"",
        "page.png": b"<!doctype html><p>404</p>", "list.mp4": b"#EXTM3U\nfile:///etc/passwd\n",
    }  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    rows = [f"a dog,{name},mine,t2i" for name in [*files, "gone.png", "../gone.png", "good.jpg"]]
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join(["prompt,path,generator,task", *rows]), encoding="utf-8")
    config = IngestConfig(manifest=manifest, reject_limit=1.0, licence="CC0")
    answer = import_answer(run(config, warehouse))
    assert answer["rejects_by_reason"] == {
        "truncated": 1, "too_many_pixels": 1, "not_media": 4, "no_frames": 1, "media_absent": 1, "outside_root": 1,
    }  # fmt: skip
    assert (answer["read"], answer["candidates"], answer["duplicates"], answer["media_absent"]) == (11, 1, 1, 1)
    places = {row["location"]: row["reason"] for row in warehouse.rows("SELECT location, reason FROM rejects")}
    assert places["manifest.csv:3"] == "too_many_pixels" and places["manifest.csv:4"] == "not_media"
    assert warehouse.rows("SELECT licence_id FROM media") == [{"licence_id": "cc0"}]
    assert len(list((warehouse.root / "media").rglob("*.*"))) == 1
    again = import_answer(run(config, warehouse))
    assert (again["candidates"], again["already_there"], again["changed"]) == (0, 1, False)
    # What was absent has arrived: the same manifest is a new run.
    (tmp_path / "gone.png").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    later = import_answer(run(config, warehouse))
    assert (later["candidates"], later["already_there"], later["media_absent"]) == (1, 1, 0)


def test_a_json_line_that_is_none_is_a_reject(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text('{"prompt": "a dog", "path": "./a.png", "generator": "g", "task": "t2i"}\n{"prompt":\n[]\n'
                        '{"prompt": "a dog", "path": "a\\u0000.png", "generator": "g", "task": "t2i"}\n')  # fmt: skip
    answer = import_answer(run(IngestConfig(manifest=manifest, reject_limit=1.0), warehouse))
    assert (answer["candidates"], answer["rejects_by_reason"]) == (1, {"bad_row": 2, "bad_path": 1})


def test_a_manifest_of_another_kind(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "manifest.xlsx").write_bytes(b"PK")
    with pytest.raises(InvalidInputError, match="xlsx"):
        run(IngestConfig(manifest=tmp_path / "manifest.xlsx"), warehouse)
