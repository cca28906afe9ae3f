"""Content ids: the one place that says how bytes, rows and texts become hashes."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from typing import Any

Part = str | int | float | bytes | bool | None


def sha256_hex(data: bytes | memoryview) -> str:
    """64 hex digits of SHA-256."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; NaN and infinity raise ValueError, since equal rows must hash equally."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_text(text: str) -> str:
    """NFKC, casefolded, runs of white space collapsed: two prompts that read the same are the same."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _encode(part: Part) -> bytes:
    """Type letter, length, bytes: no two different part lists share an encoding."""
    if part is None:
        tag, body = b"n", b""
    elif isinstance(part, bool):
        tag, body = b"b", b"1" if part else b"0"
    elif isinstance(part, int):
        tag, body = b"i", str(int(part)).encode()
    elif isinstance(part, float):
        # float() first: a NumPy double is a float whose repr differs.
        tag, body = b"f", repr(float(part)).encode()
    elif isinstance(part, bytes):
        tag, body = b"y", part
    else:
        tag, body = b"s", part.encode("utf-8", "surrogatepass")
    return tag + len(body).to_bytes(8, "big") + body


def content_id(*parts: Part) -> str:
    """32 hex digits that depend on every part, its type and its place."""
    return hashlib.sha256(b"".join(_encode(part) for part in parts)).hexdigest()[:32]


class Column(str):
    """A SQL expression of type VARCHAR, never NULL, whose value is a part."""

    __slots__ = ()


class IdColumn(Column):
    """The same where the value is always a content id: its length need not be looked at."""

    __slots__ = ()


def content_id_sql(*parts: Part | Column) -> str:
    """The SQL expression that gives `content_id` of the same parts, where some of them are columns."""
    blobs = [_blob(part) for part in parts]
    return f"substring(sha256({' || '.join(blobs)}), 1, 32)"


def _blob(part: Part | Column) -> str:
    if isinstance(part, IdColumn):
        return f"(from_hex('{_encode('0' * 32)[:9].hex()}') || encode({part}))"
    if isinstance(part, Column):
        return f"('s'::BLOB || from_hex(printf('%016x', strlen({part}))) || encode({part}))"
    return f"from_hex('{_encode(part).hex()}')"


def literal(text: str) -> str:
    """A SQL text."""
    return "'" + text.replace("'", "''") + "'"


def netstrings(texts: Iterable[str]) -> bytes:
    """The texts, each with its length in bytes before it: no two lists share an encoding."""
    encoded = [text.encode() for text in texts]
    return b"".join(b"%d:%b" % (len(data), data) for data in encoded)


def netstrings_sql(columns: Iterable[str]) -> str:
    """The SQL expression that gives `netstrings` of VARCHAR expressions, none of them NULL."""
    return "concat(" + ", ".join(f"strlen({column}), ':', {column}" for column in columns) + ")"
