"""Public scorers in a process of their own, with stand-ins that have the real packages' interface.

hpsv3: HPSv3RewardInferencer(config_path, checkpoint_path, device).reward(prompts, image_paths) -> rows (mu, sigma);
ImageReward: load(name, device).score(prompt, image). PickScore's part is real: a tiny random CLIP checkpoint.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from rm.context import Frames
from rm.reward_model import PairItem
from rm.scorers import load_scorer
from rm.scorers.process import ProcessScorer
from tests.rm.servers import served, unified_reward
from warehouse.errors import BackendError, ConfigError, InvalidInputError

PLUGIN = "rm.scorers.process:ProcessScorer"
HPSV3 = """
import numpy as np
print("loading checkpoint shards")

class HPSv3RewardInferencer:
    def __init__(self, config_path=None, checkpoint_path=None, device="cuda", differentiable=False):
        assert device == "cpu" and checkpoint_path == "w.safetensors"

    def reward(self, prompts, image_paths):
        print("scoring")
        means = [np.asarray(image).mean() for image in image_paths]
        if 0 in means:
            raise ValueError("a black picture")
        if 255 in means:
            raise SystemExit("CUDA out of memory")
        return [(mean / 25.5, 1.0) for mean in means]
"""
IMAGEREWARD = """
import numpy as np

class _Model:
    def score(self, prompt, image):
        return float(np.asarray(image).mean()) / 25.5

def load(name="ImageReward-v1.0", device="cpu"):
    return _Model()
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the worker's Python finds the stand-ins, and nothing of this project."""
    (tmp_path / "hpsv3.py").write_text(HPSV3)
    (tmp_path / "ImageReward.py").write_text(IMAGEREWARD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def asked(reference: int, candidate: int, frames: int = 1) -> PairItem:
    levels = [np.full((frames, 8, 8, 3), level, np.uint8) for level in (reference, candidate)]
    return PairItem("a red circle", *(Frames(each, tuple(range(frames))) for each in levels), "t2i", "overall")


def options(scorer: str, **more: object) -> dict[str, object]:
    return {"python": sys.executable, "scorer": scorer, "options": {"device": "cpu", **more}}


def test_packages_with_other_pins_answer_from_their_own_process(packages: None) -> None:
    for scorer in (load_scorer(PLUGIN, options("hpsv3", weights="w.safetensors")),
                   load_scorer(PLUGIN, options("imagereward"))):
        assert isinstance(scorer, ProcessScorer)
        found = scorer.score_pairs([asked(51, 102), asked(102, 51), asked(80, 80)], batch=2)
        assert found == pytest.approx([1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2)), 0.5], abs=1e-6)
        with pytest.raises(InvalidInputError, match="not clips"):
            scorer.score_pairs([asked(1, 2, frames=3)])
        scorer.close()
    one, other = (load_scorer(PLUGIN, options("hpsv3", weights=name)) for name in ("a", "b"))
    assert one.model_id != other.model_id


def test_what_goes_wrong_in_there_is_told(packages: None) -> None:
    scorer = ProcessScorer(sys.executable, "hpsv3", {"device": "cpu", "weights": "w.safetensors"})
    with pytest.raises(BackendError, match="a black picture"):
        scorer.score_pairs([asked(51, 0)])
    assert scorer.score_pairs([asked(51, 51)]) == pytest.approx([0.5])
    with pytest.raises(BackendError, match="ended with 1: CUDA out of memory"):
        scorer.score_pairs([asked(51, 255)])
    # The next question starts another process.
    assert scorer.score_pairs([asked(51, 51)]) == pytest.approx([0.5])
    scorer.close()
    with pytest.raises(BackendError, match="AssertionError"):
        ProcessScorer(sys.executable, "hpsv3", {"device": "cpu", "weights": "other"}).score_pairs([asked(1, 2)])
    with pytest.raises(ConfigError, match="does not start"):
        ProcessScorer("/no/python", "hpsv3").score_pairs([asked(1, 2)])
    with pytest.raises(ConfigError, match="unknown scorer"):
        ProcessScorer(sys.executable, "beauty")


def test_pickscore_is_its_clip(tmp_path: Path) -> None:
    import torch
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    text = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "vocab_size": 8, "max_position_embeddings": 77, "eos_token_id": 2}
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 8, "patch_size": 4}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).eval()
    model.save_pretrained(tmp_path)
    _clip_files(tmp_path)
    scorer = ProcessScorer(sys.executable, "pickscore", {"weights": str(tmp_path), "device": "cpu"})
    found = scorer.rewards([("a red circle", asked(200, 90).reference), ("a red circle", asked(200, 90).candidate)])
    scorer.close()
    with torch.inference_mode():
        pixels = torch.stack([torch.full((3, 8, 8), level / 255 * 2 - 1) for level in (200, 90)])
        out = model(input_ids=torch.tensor([[3, 4, 5, 2]] * 2), pixel_values=pixels)
    assert found == pytest.approx(out.logits_per_text[0].tolist(), abs=1e-4) and found[0] != found[1]


def _clip_files(folder: Path) -> None:
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<unk>", "<end>", "a", "red", "circle", "blue", "two"]
    core = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=[("<end>", 2)])
    PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", pad_token="<pad>", eos_token="<end>",
                            model_max_length=77).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 8},
        "crop_size": {"height": 8, "width": 8},
        "do_center_crop": True, "do_resize": True, "do_normalize": True, "do_rescale": True,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}))


def test_unified_reward_reads_its_final_score() -> None:
    with served(unified_reward) as url:
        scorer = load_scorer("rm.scorers.unified_reward:UnifiedReward", {"url": f"{url}/v1"})
        found = scorer.score_pairs([asked(51, 102), asked(80, 80)])
        assert found == pytest.approx([1 / (1 + np.exp(-0.8)), 0.5], abs=1e-3)
        with pytest.raises(BackendError, match="no score in the answer: 'I cannot say"):
            scorer.score_pairs([asked(51, 0)])
