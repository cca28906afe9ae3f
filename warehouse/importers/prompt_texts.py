"""Which prompt an image was made for, from a file beside the data: RichHF-18K names Pick-a-Pic's images and no prompts.

Read from Pick-a-Pic's own Parquet files (the no_images variant will do), or from any table with an image's name
(`filename`, `image_uid` or `image`) and its text (`prompt` or `caption`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from warehouse.errors import InvalidInputError
from warehouse.importers.fields import clean_path, spelled
from warehouse.importers.rows import file_digest, list_files, read_rows
from warehouse.importers.source_row import SourceRow

_NAMES = ("filename", "image_uid", "image", "image_0_uid", "image_1_uid")
_TEXTS = ("prompt", "caption")


def read_prompt_texts(path: Path) -> dict[str, str]:
    """Text by image name; of two texts for one name the first counts. Raises InvalidInputError where none is found."""
    found: dict[str, str] = {}
    for file in list_files(path):
        file_digest(file)
        for row in read_rows(file):
            for name, text in _named(row):
                found.setdefault(name, text)
    if not found:
        columns = f"{' or '.join(_NAMES)}, and {' or '.join(_TEXTS)}"
        raise InvalidInputError("no prompt of any image", where=str(path), hint=f"looked for the columns {columns}")
    return found


def _named(row: SourceRow) -> Iterator[tuple[str, str]]:
    text = next((value for name in _TEXTS if (value := spelled(row.fields.get(name)))), "")
    for column in _NAMES:
        name = spelled(row.fields.get(column))
        if name and text:
            yield clean_path(name), text
