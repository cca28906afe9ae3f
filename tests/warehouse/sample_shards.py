"""A split of small samples written straight to shards: no catalog, no media, a few milliseconds."""

from __future__ import annotations

from pathlib import Path

from warehouse.shards.writer import Record, SplitWriter, pack


def record(number: int) -> Record:
    """Sample `number`; its members are those of a real one."""
    media = [("a.png", bytes([number % 256]) * (900 + number)), ("b.png", b"b" * 500)]
    texts = [("prompt.txt", b"p"), ("instruction.txt", b"i"), ("rationale.txt", b"")]
    facts = b'{"p_a":0.5,"schema":1}'
    return Record(f"key{number:04d}", "t2i", "overall", "image", [*media, *texts, ("json", facts)])


def write(root: Path, samples: int, shard_bytes: int = 40_000) -> Path:
    """The split `train` of small@1 in a warehouse folder; returns its folder."""
    folder = root / "datasets" / "small" / "v1" / "train"
    writer = SplitWriter(folder, shard_bytes)
    for number in range(samples):
        writer.add(pack(record(number)))
    writer.close()
    return folder
