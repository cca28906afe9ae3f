"""The files of an export, one writer a format. Each writes one split and returns how many samples went in.

- jsonl: one sample a line; media beside it, named in `a`, `b`, `references`, `condition`.
- trl: the preference format of TRL for vision: `images`, `prompt` (a conversation), `chosen`, `rejected`. Image 1 is b,
  image 2 is a, and the answers are "yes" and "no" to the instruction's question; ties have neither and are left out.
- parquet: one sample a row, media inside as {bytes, path}.
- datasets: what `datasets.load_from_disk` opens; pictures are Image features, clips stay {bytes, path}.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.export.items import Item, Media
from warehouse.hashing import canonical_json

_SLOTS = re.compile(r"(\{image_1\}|\{image_2\})")
_PAGE = 100
_MEDIA = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_VOTE = pa.struct(
    [
        ("rater", pa.string()),
        ("kind", pa.string()),
        ("label", pa.string()),
        ("seconds", pa.float64()),
        ("guideline_version", pa.int64()),
    ]
)


def _keep(folder: Path, media: Iterable[Media]) -> None:
    (folder / "media").mkdir(exist_ok=True)
    for item in media:
        target = folder / "media" / item.path
        if not target.exists():
            target.write_bytes(item.data)


def _lines(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(canonical_json(row) + "\n")
            count += 1
    return count


def _jsonl_row(folder: Path, item: Item) -> dict[str, Any]:
    _keep(folder, item.media())
    media: dict[str, Any] = {"a": f"media/{item.a.path}", "b": f"media/{item.b.path}"}
    media["references"] = [f"media/{reference.path}" for reference in item.references]
    media["condition"] = f"media/{item.condition.path}" if item.condition else None
    return item.row | media


def write_jsonl(folder: Path, split: str, items: Iterator[Item]) -> int:
    """`<split>.jsonl` and media/."""
    return _lines(folder / f"{split}.jsonl", (_jsonl_row(folder, item) for item in items))


def _question(item: Item) -> list[dict[str, str]]:
    """The instruction as parts of a message; an image where its slot stands."""
    text = item.row["instruction"].replace("{prompt}", item.row["prompt"])
    kind = "video" if item.row["media_kind"] == "video" else "image"
    parts = [part.strip() for part in _SLOTS.split(text)]
    return [{"type": kind} if _SLOTS.fullmatch(part) else {"type": "text", "text": part} for part in parts if part]


def _trl_row(folder: Path, item: Item) -> dict[str, Any]:
    first, second = item.b, item.a
    _keep(folder, (first, second))
    yes, no = ([{"role": "assistant", "content": [{"type": "text", "text": word}]}] for word in ("yes", "no"))
    won = item.row["p_a"] > 0.5
    order = re.findall(_SLOTS, item.row["instruction"])
    shown = [first if slot == "{image_1}" else second for slot in order]
    return {
        "videos" if item.row["media_kind"] == "video" else "images": [f"media/{media.path}" for media in shown],
        "prompt": [{"role": "user", "content": _question(item)}],
        "chosen": yes if won else no,
        "rejected": no if won else yes,
    }


def write_trl(folder: Path, split: str, items: Iterator[Item]) -> int:
    """`<split>.jsonl` and media/, without ties."""
    decided = (item for item in items if item.row["p_a"] != 0.5)
    return _lines(folder / f"{split}.jsonl", (_trl_row(folder, item) for item in decided))


def _struct(media: Media | None) -> dict[str, Any] | None:
    return None if media is None else {"bytes": media.data, "path": media.path}


def _parquet_row(item: Item) -> dict[str, Any]:
    references = [_struct(media) for media in item.references]
    return item.row | {
        "a": _struct(item.a),
        "b": _struct(item.b),
        "references": references,
        "condition": _struct(item.condition),
    }


def _schema(row: dict[str, Any]) -> pa.Schema:
    """Types of a row; those of media and votes do not depend on whether this row has any."""
    fixed = {"a": _MEDIA, "b": _MEDIA, "condition": _MEDIA, "references": pa.list_(_MEDIA), "votes": pa.list_(_VOTE)}
    return pa.schema([(name, fixed.get(name) or pa.scalar(value).type) for name, value in row.items()])


def write_parquet(folder: Path, split: str, items: Iterator[Item]) -> int:
    """`<split>.parquet`; a split without samples has no file."""
    count, writer = 0, None
    rows = (_parquet_row(item) for item in items)
    try:
        while page := list(islice(rows, _PAGE)):
            writer = writer or pq.ParquetWriter(folder / f"{split}.parquet", _schema(page[0]))
            writer.write_table(pa.Table.from_pylist(page, schema=writer.schema))
            count += len(page)
    finally:
        if writer is not None:
            writer.close()
    return count


def write_datasets(folder: Path, split: str, items: Iterator[Item]) -> int:
    """One split of a DatasetDict."""
    import datasets

    datasets.disable_progress_bars()
    raw, kinds = folder / ".parquet", set[str]()

    def noted() -> Iterator[Item]:
        for item in items:
            kinds.add(item.row["media_kind"])
            yield item

    raw.mkdir()
    count = write_parquet(raw, split, noted())
    if count:
        # Its own cache would outlive the export in the user's home.
        loaded = datasets.Dataset.from_parquet(str(raw / f"{split}.parquet"), cache_dir=str(raw / "cache"))
        for column in ("a", "b") if kinds == {"image"} else ():
            loaded = loaded.cast_column(column, datasets.Image())
        loaded.save_to_disk(str(folder / split))
        known = folder / "dataset_dict.json"
        splits = json.loads(known.read_text())["splits"] if known.exists() else []
        known.write_text(json.dumps({"splits": [*splits, split]}))
    shutil.rmtree(raw)
    return count


WRITERS: dict[str, Callable[[Path, str, Iterator[Item]], int]] = {
    "parquet": write_parquet,
    "datasets": write_datasets,
    "trl": write_trl,
    "jsonl": write_jsonl,
}
