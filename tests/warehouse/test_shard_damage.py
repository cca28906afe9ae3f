"""Damaged and hostile shards: found and named by verify_split and by the loader, whatever an attacker's index says."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.warehouse import sample_shards
from warehouse.errors import CorruptDataError, InvalidInputError, NotFoundError
from warehouse.hashing import sha256_hex
from warehouse.shards import ShardDataset, open_split, ustar
from warehouse.shards.reader import Check
from warehouse.shards.verify import Finding, verify_split
from warehouse.shards.writer import INDEX, INDEX_SCHEMA

AT = 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sample_shards.write(tmp_path, 20)


def _findings(folder: Path) -> list[Finding]:
    return verify_split(folder.parents[3], "small", 1, "train")


def _row(folder: Path) -> dict[str, Any]:
    return dict(pq.read_table(folder / INDEX).to_pylist()[AT])


def _refused(folder: Path, key: str, check: Check = "full") -> str:
    """What the loader says of sample `key`; every other sample of the split is still read."""
    dataset = open_split(folder.parents[3], "small", 1, "train", check=check)
    errors: dict[str, str] = {}
    for index, name in enumerate(dataset.keys):
        try:
            dataset[index]
        except CorruptDataError as error:
            errors[name] = str(error)
    assert list(errors) == [key] and key in errors[key]
    return errors[key]


def test_whole_shards_have_no_findings(folder: Path) -> None:
    assert _findings(folder) == [] and len(list(folder.glob("*.tar"))) > 1
    with pytest.raises(NotFoundError, match="train"):
        verify_split(folder.parents[3], "small", 1, "test")


@pytest.mark.parametrize("place", [600, 20, 124, 150])
def test_a_flipped_byte_in_payload_name_size_or_checksum(folder: Path, place: int) -> None:
    row = _row(folder)
    path = folder / row["shard"]
    data = bytearray(path.read_bytes())
    data[row["offset"] + place] ^= 0x11
    path.write_bytes(data)
    assert [(found.shard, found.key) for found in _findings(folder)] == [(row["shard"], row["key"])]
    assert row["shard"] in _refused(folder, row["key"])
    if place < ustar.BLOCK:
        assert row["shard"] in _refused(folder, row["key"], "off")


def test_a_truncated_shard(folder: Path) -> None:
    row = _row(folder)
    path = folder / row["shard"]
    path.write_bytes(path.read_bytes()[: row["offset"] + 100])
    index = pq.read_table(folder / INDEX).to_pylist()
    behind = [item["key"] for item in index if item["shard"] == row["shard"] and item["offset"] >= row["offset"]]
    assert [found.key for found in _findings(folder)] == [*behind, ""]
    for check in ("full", "off"):
        with pytest.raises(CorruptDataError, match=f"{row['key']} of shard {row['shard']}.*100 of"):
            open_split(folder.parents[3], "small", 1, "train", check=check)[AT]


def test_what_hides_behind_the_samples(folder: Path) -> None:
    path = sorted(folder.glob("*.tar"))[0]
    path.write_bytes(path.read_bytes() + b"\0" * 512)
    assert [(found.shard, found.key) for found in _findings(folder)] == [(path.name, "")]
    path.unlink()
    assert {found.problem for found in _findings(folder)} == {"the shard is gone"}


def test_sampled_checks_meet_every_sample_once_in_64_epochs(folder: Path) -> None:
    row = _row(folder)
    path = folder / row["shard"]
    data = bytearray(path.read_bytes())
    data[row["offset"] + 600] ^= 1
    path.write_bytes(data)
    dataset = open_split(folder.parents[3], "small", 1, "train", check="sampled")
    caught = 0
    for epoch in range(64):
        dataset.set_epoch(epoch)
        try:
            dataset[AT]
        except CorruptDataError:
            caught += 1
    assert caught == 1
    assert open_split(folder.parents[3], "small", 1, "train", check="off")[AT].key == row["key"]
    with pytest.raises(InvalidInputError, match="sampled"):
        ShardDataset(folder, check="some")  # type: ignore[arg-type]


def _tar(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, size
    return member


def _claims(size: int) -> bytes:
    """A header that claims `size` bytes, with nothing behind it."""
    return ustar.header("k.a.png", min(size, 8**11 - 1))


HOSTILE: dict[str, Callable[[], bytes]] = {
    "absolute": lambda: _tar(_member("/etc/passwd", size=5)),
    "parent": lambda: _tar(_member("../k.a.png", size=5)),
    "dots": lambda: _tar(_member("k..a.png", size=5)),
    "prefix": lambda: _tar(_member("d" * 120 + "/k.a.png", size=5)),
    "symlink": lambda: _tar(_member("k.a.png", tarfile.SYMTYPE, "/etc/passwd")),
    "hard link": lambda: _tar(_member("k.a.png", tarfile.LNKTYPE, "k.b.png")),
    "folder": lambda: _tar(_member("k", tarfile.DIRTYPE)),
    "device": lambda: _tar(_member("k.a.png", tarfile.CHRTYPE)),
    "twice": lambda: _tar(_member("k.a.png", size=5), _member("k.a.png", size=7)),
    "8 GB": lambda: _claims(8**11 - 1),
    "10 GB in base 256": lambda: _tar_base256(10 * 2**30),
    "negative": lambda: ustar.header("k.a.png", 5).replace(b"00000000005\0", b"-0000000005\0"[:12], 1),
    "other key": lambda: _tar(_member("other.a.png", size=5)),
}


def _tar_base256(size: int) -> bytes:
    """GNU's way to say more than 8 GiB."""
    member = _member("k.a.png")
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_shards_are_refused(tmp_path: Path, name: str) -> None:
    """The attacker wrote the index too: every hash is right."""
    blob = HOSTILE[name]()
    blob = blob[: -len(ustar.END)].rstrip(b"\0") if blob.endswith(ustar.END) else blob
    blob += bytes(-len(blob) % ustar.BLOCK)
    folder = tmp_path / "datasets" / "small" / "v1" / "train"
    folder.mkdir(parents=True)
    (folder / "x.tar").write_bytes(blob + ustar.END)
    row = ["k", "x.tar", 0, len(blob), sha256_hex(blob), "t2i", "overall"]
    pq.write_table(
        pa.Table.from_pylist([dict(zip(INDEX_SCHEMA.names, row, strict=True))], INDEX_SCHEMA), folder / INDEX
    )
    tracemalloc.start()
    try:
        assert [(found.shard, found.key) for found in _findings(folder)] == [("x.tar", "k")]
        with pytest.raises(CorruptDataError, match=r"x\.tar, sample k"):
            ShardDataset(folder, check="off")[0]
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_an_index_that_lies(folder: Path) -> None:
    table = pq.read_table(folder / INDEX)
    rows = table.to_pylist()
    for change, problem in (
        ({"key": rows[0]["key"]}, "twice"),
        ({"size": 2**40}, "cut off"),
        ({"shard": "../../../../secret.tar"}, "plain file"),
    ):
        lying = [row | change if place == AT else row for place, row in enumerate(rows)]
        pq.write_table(pa.Table.from_pylist(lying, table.schema), folder / INDEX)
        assert any(problem in found.problem for found in _findings(folder)), problem
        if "key" not in change:
            with pytest.raises(CorruptDataError):
                ShardDataset(folder, check="off")[AT]
