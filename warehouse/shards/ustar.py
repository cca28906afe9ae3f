"""POSIX ustar members as bytes: the same bytes on every machine, Python version and day.

Owns the 512-byte header of a regular file (POSIX.1-1988, "ustar Interchange Format") with fixed mode, owner and time.
Left out on purpose: long names, links, folders; shards hold none of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from warehouse.errors import CorruptDataError, InvalidInputError

BLOCK = 512
END = bytes(2 * BLOCK)
_MAX_NAME, _MAX_SIZE = 100, 8**11 - 1


def header(name: str, size: int) -> bytes:
    """The header block of a file of `size` bytes; raises InvalidInputError where name or size do not fit ustar."""
    encoded = name.encode()
    if not encoded or len(encoded) > _MAX_NAME or size > _MAX_SIZE:
        raise InvalidInputError(
            f"no ustar member can be called {name!r} with {size} bytes",
            hint=f"at most {_MAX_NAME} bytes of name and {_MAX_SIZE} of content",
        )
    fields = (
        encoded.ljust(_MAX_NAME, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"00000000000\0",
        b"0" + bytes(_MAX_NAME) + b"ustar\x0000" + bytes(32 + 32) + b"0000000\0" * 2 + bytes(155 + 12),
    )
    # The checksum is taken with its own field as eight spaces.
    checksum = sum(fields[0]) + 8 * ord(" ") + sum(fields[1])
    return fields[0] + b"%06o\0 " % checksum + fields[1]


def member(name: str, data: bytes) -> bytes:
    """Header, content and padding to the next block."""
    return header(name, len(data)) + data + bytes(-len(data) % BLOCK)


def members(blob: bytes, where: str = "") -> Iterator[tuple[str, bytes]]:
    """(name, content) of the members that lie back to back in `blob`; raises CorruptDataError where they do not."""
    offset = 0
    while offset < len(blob):
        block = blob[offset : offset + BLOCK]
        try:
            name, size = block[:100].rstrip(b"\0").decode(), int(block[124:135], 8)
        except ValueError as error:
            raise CorruptDataError(f"no ustar header at byte {offset} of the sample", where=where) from error
        start = offset + BLOCK
        if start + size > len(blob):
            raise CorruptDataError(f"member {name} is cut off", where=where)
        yield name, blob[start : start + size]
        offset = start + size + -size % BLOCK
