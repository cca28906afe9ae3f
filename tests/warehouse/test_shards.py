from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.errors import CorruptDataError, InvalidInputError
from warehouse.hashing import sha256_hex
from warehouse.shards import ustar
from warehouse.shards.writer import INDEX, Record, SplitWriter, pack

NAMES = st.from_regex(r"[a-z0-9_-]{1,60}(\.[a-z0-9_-]{1,9}){0,4}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=2000)), max_size=5, unique_by=lambda file: file[0]))
def test_tarfile_reads_what_was_written(files: list[tuple[str, bytes]]) -> None:
    blob = b"".join(part for name, data in files for part in ustar.member(name, data))
    assert list(ustar.members(blob)) == files
    with tarfile.open(fileobj=io.BytesIO(blob + ustar.END), mode="r:") as archive:
        read = [(item.name, archive.extractfile(item).read()) for item in archive]  # type: ignore[union-attr]
        assert all((item.mtime, item.uid, item.gid, item.uname, item.mode) == (0, 0, 0, "", 0o644) for item in archive)
    assert read == files


def test_the_header_is_that_of_tarfile() -> None:
    for name, size in (("0123.a.png", 70_001), ("x" * 100, 0), ("k.json", 8**11 - 1)):
        info = tarfile.TarInfo(name)
        info.size = size
        expected = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
        ours = ustar.header(name, size)
        # Python versions fill the device numbers of a regular file with zeros or leave them empty.
        assert ours[:148] == expected[:148] and ours[156:329] == expected[156:329] and ours[345:] == expected[345:]
        assert tarfile.TarInfo.frombuf(ours, "utf-8", "strict").size == size


@pytest.mark.parametrize(("name", "size"), [("", 1), ("x" * 101, 1), ("ä" * 51, 1), ("x", 8**11)])
def test_members_that_do_not_fit(name: str, size: int) -> None:
    with pytest.raises(InvalidInputError):
        ustar.header(name, size)


def test_cut_members() -> None:
    blob = b"".join(ustar.member("k.a.png", b"x" * 1000))
    with pytest.raises(CorruptDataError):
        list(ustar.members(blob[:900]))
    with pytest.raises(CorruptDataError):
        list(ustar.members(b"\xff" * 512))


def _record(number: int, extension: str = "png", size: int = 1000, extra: tuple[str, ...] = ()) -> Record:
    media = [(f"a.{extension}", bytes([number % 256]) * size), (f"b.{extension}", b"b" * size)]
    media += [(name, b"extra") for name in extra]
    texts = [("prompt.txt", b"p"), ("instruction.txt", b""), ("rationale.txt", b""), ("json", b"{}")]
    return Record(f"key{number:04d}", "t2i", "overall", "image", [*media, *texts])


def _write(folder: Path, records: list[Record], shard_bytes: int) -> SplitWriter:
    writer = SplitWriter(folder, shard_bytes)
    for record in records:
        writer.add(pack(record))
    writer.close()
    return writer


def test_all_samples_of_a_shard_have_the_same_members(tmp_path: Path) -> None:
    kinds: list[tuple[str, tuple[str, ...]]] = [
        ("png", ()),
        ("jpg", ()),
        ("png", ("ref0.png",)),
        ("png", ("cond.jpg",)),
    ]
    records = [_record(i, kinds[i % 4][0], extra=kinds[i % 4][1]) for i in range(40)]
    writer = _write(tmp_path, records, 30_000)
    assert len(writer.shards) > 4
    for shard in writer.shards:
        members: dict[str, set[str]] = {}
        with tarfile.open(tmp_path / shard.name, "r:") as archive:
            for name in archive.getnames():
                key, _, suffix = name.partition(".")
                members.setdefault(key, set()).add(suffix)
        assert len({frozenset(value) for value in members.values()}) == 1 and len(members) == shard.samples


def test_shards_keep_to_their_size_and_the_index_to_the_bytes(tmp_path: Path) -> None:
    records = [_record(i, size=100 + 97 * i % 5000) for i in range(60)]
    writer = _write(tmp_path, records, 40_000)
    assert all(shard.size_bytes <= 40_000 or shard.samples == 1 for shard in writer.shards)
    assert not list(tmp_path.glob(".part-*"))
    for shard in writer.shards:
        data = (tmp_path / shard.name).read_bytes()
        assert (sha256_hex(data), len(data)) == (shard.sha256, shard.size_bytes)
    rows = pq.read_table(tmp_path / INDEX).to_pylist()
    assert {row["key"] for row in rows} == {record.key for record in records}
    for row in rows:
        blob = (tmp_path / row["shard"]).read_bytes()[row["offset"] : row["offset"] + row["size"]]
        assert sha256_hex(blob) == row["sha256"]
        assert {name.partition(".")[0] for name, _ in ustar.members(blob)} == {row["key"]}


def test_a_sample_larger_than_the_target_gets_a_shard_of_its_own(tmp_path: Path) -> None:
    writer = _write(tmp_path, [_record(i, size=5000) for i in range(3)], 1024)
    assert [shard.samples for shard in writer.shards] == [1, 1, 1]


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    records = [_record(i, "png" if i % 3 else "jpg") for i in range(30)]
    first, second = (_write(tmp_path / name, records, 20_000) for name in ("x", "y"))
    assert first.shards == second.shards
    names = sorted(path.name for path in first.folder.iterdir())
    assert names == sorted(path.name for path in second.folder.iterdir())
    assert all((first.folder / name).read_bytes() == (second.folder / name).read_bytes() for name in names)


@pytest.mark.parametrize("key", ["a.b", "a/b"])
def test_keys_that_readers_would_split(tmp_path: Path, key: str) -> None:
    with pytest.raises(InvalidInputError):
        pack(Record(key, "t2i", "overall", "image", [("json", b"{}")]))
