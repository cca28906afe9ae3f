"""TFRecord files of tf.train.Example, written from the format's definition, not from the reader."""

from __future__ import annotations

import struct
from pathlib import Path


def crc32c(data: bytes) -> int:
    """Bit by bit; crc32c(b"123456789") is 0xE3069283 in RFC 3720's appendix."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 * (crc & 1))
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _message(number: int, body: bytes) -> bytes:
    size, length = len(body), b""
    while size >= 128:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + body


def _feature(value: object) -> bytes:
    if isinstance(value, str | bytes):
        return _message(1, _message(1, value.encode() if isinstance(value, str) else value))
    if isinstance(value, float):
        return _message(2, _message(1, struct.pack("<f", value)))
    assert isinstance(value, int)
    return _message(3, _message(1, bytes([value])))


def example(values: dict[str, object]) -> bytes:
    """A serialised tf.train.Example of single values."""
    entries = [_message(1, _message(1, name.encode()) + _message(2, _feature(value))) for name, value in values.items()]
    return _message(1, b"".join(entries))


def write(path: Path, *records: dict[str, object] | bytes) -> Path:
    """Records are examples, or bytes as they are."""
    with path.open("wb") as file:
        for record in records:
            body = example(record) if isinstance(record, dict) else record
            length = struct.pack("<Q", len(body))
            file.write(length + _masked(length) + body + _masked(body))
    return path
