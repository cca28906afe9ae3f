from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generation import candidates, ingest, prompts
from warehouse import Warehouse
from warehouse.errors import InvalidInputError
from warehouse.media.encode import encode_png


class Noise:
    """A generator of noise pictures that fails after `dies_after` calls and breaks one prompt's bytes."""

    name, kind, revision, media_kind = "noise", "test", "1", "image"
    params: Mapping[str, Any] = {"side": 16}

    def __init__(self, dies_after: int = 10**9, broken: str = "") -> None:
        self.dies_after, self.broken, self.calls = dies_after, broken, 0

    def generate(self, texts: Sequence[str], seeds: Sequence[int]) -> list[bytes]:
        self.calls += 1
        if self.calls > self.dies_after:
            raise ConnectionError("killed")
        return [b"PK\x03\x04" if text == self.broken else
                encode_png(np.random.default_rng(seed).integers(0, 255, (16, 16, 3)).astype(np.uint8))
                for text, seed in zip(texts, seeds, strict=True)]


def _prompts(warehouse: Warehouse) -> None:
    prompts.run(prompts.PromptConfig(source="simulation.prompt_set:image_prompts", options={"limit": 10}), warehouse)


def _config(**options: Any) -> candidates.CandidateConfig:
    return candidates.CandidateConfig(generator="tests.generation.test_stages:Noise", generator_options=options,
                                      source="simulation", per_prompt=2, batch=4)


def test_a_killed_run_resumes_to_the_same_candidates(warehouse: Warehouse, tmp_path: Path) -> None:
    _prompts(warehouse)
    with pytest.raises(ConnectionError):
        candidates.run(_config(dies_after=2), warehouse)
    assert warehouse.rows("SELECT count(*) AS n FROM candidates")[0]["n"] == 8
    receipt = candidates.run(_config(), warehouse)
    assert receipt.counts["already_there"] == 8 and receipt.counts["candidates"] == 12
    assert not candidates.run(_config(), warehouse).changed


def test_broken_bytes_are_rejected_with_their_prompt(warehouse: Warehouse) -> None:
    _prompts(warehouse)
    text = warehouse.rows("SELECT text FROM prompts ORDER BY 1")[0]["text"]
    receipt = candidates.run(_config(broken=text), warehouse)
    assert receipt.rejected == {"not_media": 2} and receipt.counts["candidates"] == 18


def _manifest(folder: Path, rows: Sequence[str]) -> Path:
    (folder / "good.png").write_bytes(encode_png(np.zeros((16, 16, 3), np.uint8)))
    (folder / "zip.png").write_bytes(b"PK\x03\x04 not a picture")
    path = folder / "manifest.csv"
    path.write_text("\n".join(["prompt,path,generator,task", *rows]) + "\n", encoding="utf-8")
    return path


def test_ingest_writes_a_few_rows_at_a_time(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is held until the end, no candidate comes without its media, and a second call adds nothing."""
    monkeypatch.setattr(ingest, "_COMMIT", 4)
    for index in range(10):
        (tmp_path / f"{index}.png").write_bytes(encode_png(np.full((16, 16, 3), index, np.uint8)))
    lines = [f"prompt {index % 3},{index}.png,g,t2i" for index in range(10)]
    path = tmp_path / "manifest.csv"
    path.write_text("\n".join(["prompt,path,generator,task", *lines, lines[0]]))
    counts = ingest.run(ingest.IngestConfig(manifest=path), warehouse).counts
    assert counts | {"read": 11, "duplicates": 1, "prompts": 3, "candidates": 10, "already_there": 0} == counts
    commits = "SELECT count(*) AS n FROM lake.snapshots() WHERE commit_message = 'ingest'"
    assert warehouse.rows(commits) == [{"n": 3}]
    sql = "SELECT count(*) AS n FROM candidates JOIN media USING (media_id) JOIN prompts USING (prompt_id)"
    assert warehouse.rows(sql) == [{"n": 10}]
    path.write_text(path.read_text() + "\n")
    again = ingest.run(ingest.IngestConfig(manifest=path), warehouse)
    assert again.changed and again.counts["candidates"] == 0 and again.counts["already_there"] == 10


def test_ingest_counts_every_bad_row(warehouse: Warehouse, tmp_path: Path) -> None:
    path = _manifest(tmp_path, ["a cat,good.png,sdxl,t2i", "a cat,zip.png,sdxl,t2i", "a cat,gone.png,sdxl,t2i",
                                ",good.png,sdxl,t2i", "a cat,../secret.png,sdxl,t2i", "a cat,good.png,sdxl,t2x"])
    receipt = ingest.run(ingest.IngestConfig(manifest=path, reject_limit=0.9), warehouse)
    assert receipt.counts["candidates"] == 1
    assert receipt.rejected == {"not_media": 1, "media_absent": 1, "bad_row": 2, "outside_root": 1}
    assert not ingest.run(ingest.IngestConfig(manifest=path, reject_limit=0.9), warehouse).changed


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00bad", b"a,b\n1,2\n"])
def test_unusable_manifests(warehouse: Warehouse, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(data)
    with pytest.raises(InvalidInputError):
        ingest.run(ingest.IngestConfig(manifest=path), warehouse)
