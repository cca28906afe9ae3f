"""The snippets of docs/serving.md do what they say, against a server and the trainers' real calling conventions.

flow_grpo: rewards.py (multi_score calls `scores, _ = fn(images, prompts, metadata)`); Flow-Factory: rewards/abc.py
(PointwiseRewardModel(config, accelerator), keyword call, RewardModelOutput); both read on 2026-11-26.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rm.reward_model import PairItem, RewardModel
from tests.rm import world
from tests.rm.server.conftest import Start, live
from warehouse.media.encode import encode_png

DOCS = Path(__file__).resolve().parents[3] / "docs" / "serving.md"
PROMPT = "a red circle"


def snippet(name: str, **names: Any) -> dict[str, Any]:
    """What the block that begins with `# name` defines."""
    blocks = re.findall(r"```python\n# (\w+)\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    code = dict(blocks)[name]
    defined: dict[str, Any] = dict(names)
    exec(compile(code, f"docs/serving.md:{name}", "exec"), defined)
    return defined


@pytest.fixture
def kept(start: Start, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A server that keeps picture 0 as the reference of the prompt, by the first snippet."""
    (tmp_path / "reference.png").write_bytes(encode_png(world.frames(0).pixels[0]))
    with live(start()) as url:
        names = {"SERVER": url, "REFERENCE": str(tmp_path / "reference.png")}
        snippet("keep", **names)
        yield names


@pytest.fixture
def wanted(served_model: RewardModel) -> Any:
    reference = world.frames(0)
    return served_model.score_pairs([PairItem(PROMPT, reference, world.frames(n), "t2i", "overall") for n in (1, 2)])


def test_ours(kept: dict[str, str]) -> None:
    rewards = snippet("ours", **kept)["rewards"]
    assert rewards.shape == (2,) and bool(((rewards > 0) & (rewards < 1)).all())


def test_flow_grpo(kept: dict[str, str], wanted: Any) -> None:
    reward = snippet("flow_grpo", **kept)["rewarddance_score"]()
    arrays = np.stack([world.frames(n).pixels[0] for n in (1, 2)])
    for images in (arrays, torch.from_numpy(arrays).permute(0, 3, 1, 2).float() / 255):
        scores, details = reward(images, (PROMPT, PROMPT), [{}, {}])
        assert scores == pytest.approx(wanted, abs=1e-4) and details == {}
    with pytest.raises(RuntimeError, match="1 of 2 images have no reward: no references are kept"):
        reward(arrays, (PROMPT, "two red circle"), [{}, {}])


def test_flow_factory(kept: dict[str, str], wanted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class RewardModelOutput:
        rewards: Any
        extra_info: Any = None

    class PointwiseRewardModel:
        def __init__(self, config: Any, accelerator: Any) -> None:
            self.device = config.device

    module: Any = ModuleType("flow_factory.rewards.abc")
    module.RewardModelOutput, module.PointwiseRewardModel = RewardModelOutput, PointwiseRewardModel
    for name in ("flow_factory", "flow_factory.rewards"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "flow_factory.rewards.abc", module)
    config = SimpleNamespace(server_url=kept["SERVER"], device=torch.device("cpu"))
    model = snippet("flow_factory", **kept)["RewardDance"](config, None)
    pictures = [Image.fromarray(world.frames(n).pixels[0]) for n in (1, 2)]
    found = model(prompt=[PROMPT] * 2, image=pictures, video=None, audio=None, condition_images=None)
    assert found.rewards.tolist() == pytest.approx(wanted, abs=1e-4)
    with pytest.raises(RuntimeError, match="no references are kept"):
        model(prompt=["two red circle"], image=pictures[:1])
