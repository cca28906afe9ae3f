"""What names and tables say about prompts and generators."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from annotation.voter.folder import Entry, manifest, read_folder
from warehouse.errors import ConfigError, InvalidInputError, NotFoundError


def _files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def _said(folder: Path, **more: object) -> list[tuple[str, str, str]]:
    return [(item.prompt, item.generator, item.task) for item in read_folder(folder, **more)]  # type: ignore[arg-type]


def test_sub_folders_are_generators_and_names_prompts(tmp_path: Path) -> None:
    _files(tmp_path, "sdxl/a_red  cat.png", "flux/a red cat_03.JPG", "flux/.hidden.png", "flux/notes.txt")
    assert _said(tmp_path) == [("a red cat", "flux", "t2i"), ("a red cat", "sdxl", "t2i")]


def test_two_dashes_name_prompt_and_generator(tmp_path: Path) -> None:
    _files(tmp_path, "waves at night__wan.mp4", "waves at night__ltx_2.webm")
    assert _said(tmp_path) == [("waves at night", "ltx_2", "t2v"), ("waves at night", "wan", "t2v")]


def test_plain_files_are_candidates_of_one_prompt(tmp_path: Path) -> None:
    _files(tmp_path / "my cats", "one.png", "two.png")
    assert _said(tmp_path / "my cats") == [("my cats", "one", "t2i"), ("my cats", "two", "t2i")]
    assert _said(tmp_path / "my cats", prompt="cats") == [("cats", "one", "t2i"), ("cats", "two", "t2i")]


def test_a_table_wins_and_fills_what_is_left_out_from_the_names(tmp_path: Path) -> None:
    _files(tmp_path, "x/a.png", "x/b.png", "first.png")
    (tmp_path / "list.csv").write_text(
        "path,prompt,generator,condition\nx/a.png,\"cat, red\",g1,\nx/b.png,,,first.png\n", encoding="utf-8-sig")
    assert _said(tmp_path) == [("cat, red", "g1", "t2i"), ("b", "x", "edit")]


def test_the_manifest_reads_back(tmp_path: Path) -> None:
    entry = Entry('a "red", cat\n', "x/a,b.png", "g", "t2i")
    [row] = csv.DictReader(manifest([entry]).splitlines(keepends=True))
    assert row == {"prompt": entry.prompt, "path": entry.path, "generator": "g", "task": "t2i", "condition": ""}


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no folder"):
        read_folder(tmp_path / "absent")
    with pytest.raises(ConfigError, match="1 files to compare"):
        read_folder(_files(tmp_path / "one", "a.png"))
    with pytest.raises(ConfigError, match="pictures and clips"):
        read_folder(_files(tmp_path / "both", "a.png", "b.mp4"))
    (tmp_path / "one" / "t.csv").write_text("file\na.png\n")
    with pytest.raises(InvalidInputError, match="path"):
        read_folder(tmp_path / "one")
