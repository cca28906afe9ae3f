"""The Qwen3-VL family against transformers' own preprocessing, positions and forward pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rm.context import Frames, Text, fill, pairwise
from rm.families import load_family
from rm.families.pixels import patchify, to_unit
from rm.families.qwen3_vl import Qwen3VL
from rm.verdict import Verdict
from simulation import vlm
from warehouse.errors import ConfigError

TEMPLATE = "prompt : {prompt} . image 1 {image_1} image 2 {image_2} is image 2 better than image 1 ?"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Qwen3VL]:
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    model = vlm.build("small").eval()
    model.save_pretrained(folder)
    vlm.write_tokenizer(folder)
    return folder, model, load_family(folder)


def _frames(seed: int, count: int = 1) -> Frames:
    pixels = np.random.default_rng(seed).integers(0, 255, (count, 32, 32, 3)).astype(np.uint8)
    return Frames(pixels, tuple(0.5 * index for index in range(count)))


def test_patches_equal_the_image_processor(checkpoint: tuple[Path, Any, Qwen3VL]) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    _, _, family = checkpoint
    picture = _frames(1).pixels[0]
    processor = Qwen2VLImageProcessorPil(patch_size=4, merge_size=2, temporal_patch_size=2, image_mean=[0.5] * 3,
                                         image_std=[0.5] * 3, size={"shortest_edge": 64, "longest_edge": 16384})
    theirs = torch.as_tensor(np.asarray(processor(images=[picture])["pixel_values"]))
    assert (patchify(to_unit([picture]), family.geometry) - theirs).abs().max() < 1e-6


@pytest.mark.parametrize("frames", [1, 3])
def test_forward_equals_transformers(checkpoint: tuple[Path, Any, Qwen3VL], frames: int) -> None:
    _, model, family = checkpoint
    shared = _frames(1, frames)
    examples = [pairwise(TEMPLATE, "a red circle", shared, _frames(2, frames)),
                pairwise(TEMPLATE, "a red circle left of a blue square", _frames(3, frames), shared)]
    batch = family.encode(examples)
    assert len(batch.pictures) == 3 * frames and len(batch.features_of) == 4 * frames
    with torch.no_grad():
        ours = family.verdict_logits(model, batch)
        pixels = patchify(to_unit([batch.pictures[i] for i in batch.features_of]), family.geometry)
        theirs = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, pixel_values=pixels,
                       image_grid_thw=torch.tensor([[1, 8, 8]] * len(batch.features_of)),
                       mm_token_type_ids=(batch.input_ids == model.config.image_token_id).int()).logits
    assert (ours - theirs[torch.arange(2), batch.verdict_index]).abs().max() < 1e-5


def test_gradient_reaches_the_pixels(checkpoint: tuple[Path, Any, Qwen3VL]) -> None:
    _, model, family = checkpoint
    candidate = torch.rand(1, 32, 32, 3, requires_grad=True)
    batch = family.encode([pairwise(TEMPLATE, "a red circle", _frames(1), Frames(candidate))])
    family.verdict.p_yes(family.verdict_logits(model, batch)).sum().backward()
    assert candidate.grad is not None and candidate.grad.abs().sum() > 0


def test_p_yes_sums_variants() -> None:
    verdict = Verdict((0, 1), (2,))
    logits = torch.log(torch.tensor([[0.2, 0.3, 0.5]]))
    assert verdict.p_yes(logits).item() == pytest.approx(0.5)
    assert verdict.p_yes(torch.log(torch.tensor([[0.1, 0.2, 0.1]]))).item() == pytest.approx(0.75)


def test_templates_need_their_images() -> None:
    parts = fill("judge {prompt} : {image_1} done", "a red circle", _frames(1), None)
    assert parts[0] == Text("judge a red circle : ") and parts[2] == Text(" done")
    with pytest.raises(ConfigError, match="image_2"):
        fill(TEMPLATE, "x", _frames(1), None)
