"""TFRecord files of tf.train.Example without TensorFlow: https://www.tensorflow.org/tutorials/load_data/tfrecord.

A record is its length (8 bytes), a checksum of the length, the bytes, a checksum of the bytes. The first checksum is
verified, because a wrong length would make everything behind it garbage; the second is not: heat maps of megabytes
that nobody uses would cost minutes. Features: a list of one value is that value; text that is UTF-8 becomes str.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from warehouse.errors import InvalidInputError
from warehouse.importers.source_row import SourceRow

_LARGEST = 256 << 20
_MAP_BYTES = 4096
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_tfrecord(path: Path, name: str) -> Iterator[SourceRow]:
    """One row a record; features larger than 4 KiB (pictures, maps) are left out. Raises InvalidInputError."""
    with path.open("rb") as file:
        for number, body in enumerate(_records(file, path), 1):
            try:
                yield SourceRow(name, number, _example(body))
            except (ValueError, IndexError, struct.error) as error:
                yield SourceRow(name, number, problem=f"not a tf.train.Example: {error}")


def _records(file: BinaryIO, path: Path) -> Iterator[memoryview]:
    while head := file.read(12):
        at = file.tell() - len(head)
        if len(head) < 12 or _masked_crc(head[:8]) != struct.unpack("<I", head[8:])[0]:
            raise InvalidInputError("not readable as TFRecord", where=f"{path} at byte {at}")
        [length] = struct.unpack("<Q", head[:8])
        if length > _LARGEST:
            raise InvalidInputError(f"a record of {length} bytes", where=f"{path} at byte {at}")
        body = file.read(length)
        if len(body) < length or len(file.read(4)) < 4:
            raise InvalidInputError("the last record is cut off", where=f"{path} at byte {at}")
        yield memoryview(body)


def _crc_table() -> tuple[int, ...]:
    """CRC-32C (Castagnoli), reflected."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def _masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than ten bytes")


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """(field number, value) of one protocol buffer message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(data, at)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + length > len(data):
            raise ValueError("a field ends behind its message")
        yield number, data[at : at + length]
        at += length


def _messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, value in _fields(data):
        if number == wanted and isinstance(value, memoryview):
            yield value


def _example(body: memoryview) -> dict[str, Any]:
    """Example.features (1) -> Features.feature (1), a map of name (1) to Feature (2)."""
    values: dict[str, Any] = {}
    for features in _messages(body, 1):
        for entry in _messages(features, 1):
            name, feature = b"", memoryview(b"")
            for number, part in _fields(entry):
                name = bytes(part) if number == 1 else name
                feature = part if number == 2 else feature
            if len(feature) <= _MAP_BYTES:
                values[name.decode()] = _value(feature)
    return values


def _value(feature: memoryview) -> Any:
    """Feature: bytes_list (1), float_list (2), int64_list (3), each a message of repeated values (1)."""
    found: list[Any] = []
    for kind, values in _fields(feature):
        for _, value in _fields(values):
            if kind == 1:
                found.append(_text(bytes(value)))
            elif kind == 2:
                found += struct.unpack(f"<{len(value) // 4}f", value)
            else:
                found += [value] if isinstance(value, int) else _integers(value)
    return found[0] if len(found) == 1 else found


def _integers(packed: memoryview) -> list[int]:
    numbers, at = [], 0
    while at < len(packed):
        number, at = _varint(packed, at)
        numbers.append(number - (1 << 64) if number >> 63 else number)
    return numbers


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
