"""POSIX ustar members as bytes: the same bytes on every machine, Python version and day.

Owns the 512-byte header of a regular file (POSIX.1-1988, "ustar Interchange Format") with fixed mode, owner and time.
Reading takes what writing makes and nothing else: links, folders, paths, names that repeat and sizes past the end are
refused before a byte of content is touched. Left out on purpose: long names; shards hold none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from warehouse.errors import CorruptDataError, InvalidInputError

BLOCK = 512
END = bytes(2 * BLOCK)
_MAX_NAME, _MAX_SIZE = 100, 8**11 - 1
_NAME = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_SIZE = re.compile(rb"[0-7]{11}\0")


_OWNER, _TIME = b"0000644\0" + b"0000000\0" * 2, b"00000000000\0"
_REST = b"0" + bytes(_MAX_NAME) + b"ustar\x0000" + bytes(32 + 32) + b"0000000\0" * 2 + bytes(155 + 12)


def _checksum(before: bytes, after: bytes) -> int:
    """Sum of all bytes of a header, its own field counting as eight spaces."""
    return sum(before) + 8 * ord(" ") + sum(after)


# What the same bytes of every header add up to; only name and size differ.
_FIXED_SUM = _checksum(_OWNER + _TIME, _REST)


def header(name: str, size: int) -> bytes:
    """The header block of a file of `size` bytes; raises InvalidInputError where name or size do not fit ustar."""
    encoded = name.encode()
    if not encoded or len(encoded) > _MAX_NAME or size > _MAX_SIZE:
        raise InvalidInputError(
            f"no ustar member can be called {name!r} with {size} bytes",
            hint=f"at most {_MAX_NAME} bytes of name and {_MAX_SIZE} of content",
        )
    length = b"%011o\0" % size
    checksum = b"%06o\0 " % (_FIXED_SUM + sum(encoded) + sum(length))
    return encoded.ljust(_MAX_NAME, b"\0") + _OWNER + length + _TIME + checksum + _REST


def member(name: str, data: bytes) -> tuple[bytes, bytes, bytes]:
    """Header, content and padding to the next block."""
    return header(name, len(data)), data, bytes(-len(data) % BLOCK)


def _problem(block: bytes) -> str:
    """Why `block` is no header that a shard may hold; "" where it is one."""
    name = block[:_MAX_NAME].rstrip(b"\0")
    if len(block) < BLOCK:
        return "no ustar header"
    if block[148:156] != b"%06o\0 " % _checksum(block[:148], block[156:]) or block[257:265] != b"ustar\x0000":
        return "no ustar header"
    if block[156:157] != b"0" or block[157:257].strip(b"\0"):
        return f"{name!r} is no regular file but a link, folder or device"
    if not _NAME.fullmatch(name) or b".." in name or block[345:500].strip(b"\0"):
        return f"the name {name!r} is a path or no plain name"
    return "" if _SIZE.fullmatch(block[124:136]) else f"{name!r} has no octal size"


def _written_here(block: bytes) -> bool:
    """True where `header` makes exactly this block; ten times as quick as saying what is wrong with it."""
    name, size = block[:_MAX_NAME].rstrip(b"\0"), block[124:136]
    usable = _NAME.fullmatch(name) and b".." not in name and _SIZE.fullmatch(size)
    return bool(usable) and block == header(name.decode(), int(size[:11], 8))


def contents(blob: bytes, names: Iterable[str]) -> list[bytes] | None:
    """What `members` gives where it gives exactly these names in this order, several times as quick; else None."""
    offset, found = 0, []
    for name in names:
        try:
            size = int(blob[offset + 124 : offset + 135], 8)
        except ValueError:
            return None
        start = offset + BLOCK
        if not 0 <= size <= len(blob) - start or not blob.startswith(header(name, size), offset):
            return None
        found.append(blob[start : start + size])
        offset = start + size + -size % BLOCK
    return found if offset == len(blob) else None


def members(blob: bytes, where: str = "") -> Iterator[tuple[str, bytes]]:
    """(name, content) of the members that lie back to back in `blob`; raises CorruptDataError where they do not."""
    offset, seen = 0, set[str]()
    while offset < len(blob):
        block = blob[offset : offset + BLOCK]
        problem = "" if _written_here(block) else _problem(block) or "no header that shards are written with"
        if problem:
            raise CorruptDataError(f"{problem}, at byte {offset} of the sample", where=where)
        name, size, start = block[:_MAX_NAME].rstrip(b"\0").decode(), int(block[124:135], 8), offset + BLOCK
        if start + size > len(blob):
            raise CorruptDataError(f"member {name} is cut off: {len(blob) - start} of {size} bytes", where=where)
        if name in seen:
            raise CorruptDataError(f"member {name} comes twice", where=where)
        seen.add(name)
        yield name, blob[start : start + size]
        offset = start + size + -size % BLOCK
