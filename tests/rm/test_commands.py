from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pipelines.cli.reward_model import app
from rm.reward_model import PairItem, frames_of, load_reward_model
from tests.rm import world
from tests.rm.conftest import Place
from warehouse.errors import MediaError, NotFoundError
from warehouse.media.encode import encode_mp4


def _clips(folder: Path) -> list[str]:
    """A dark and a bright clip of 13 frames, more than any model here is shown."""
    rng = np.random.default_rng(0)
    for name, level in (("dark", 60), ("bright", 200)):
        (folder / f"{name}.mp4").write_bytes(encode_mp4(world.picture(rng, level, frames=13), fps=8.0))
    (folder / "words.txt").write_text("no clip")
    return [str(folder / name) for name in ("dark.mp4", "bright.mp4", "words.txt", "gone.png")]


def test_score_says_what_the_model_says_of_the_frames_it_was_trained_on(trained: tuple[Place, str], tmp_path: Path
                                                                         ) -> None:
    place, model_id = trained
    dark, bright, words, gone = _clips(tmp_path)
    options = ["--task", "t2v", "--warehouse", str(place.warehouse.root), "--json"]

    result = CliRunner().invoke(app, ["score", model_id, "a red circle", dark, bright, *options])
    loaded = load_reward_model(place.warehouse, model_id)
    first, second = (frames_of(Path(path).read_bytes(), loaded.max_frames) for path in (dark, bright))
    wanted = loaded.score_pairs([PairItem("a red circle", first, second, "t2v", "overall")])[0]
    assert json.loads(result.stdout)["reward"] == pytest.approx(float(wanted), abs=1e-6)

    for path, error in ((words, MediaError), (gone, NotFoundError)):
        failed = CliRunner().invoke(app, ["score", model_id, "a red circle", dark, path, *options]).exception
        assert isinstance(failed, error) and path in str(failed)
