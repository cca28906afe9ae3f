"""A Qwen3-VL of about two billion parameters, randomly initialised, in bf16 on one GPU: training and scoring.

Numbers of a real size without real weights: speed and memory depend on shapes, not on values. Training takes the
project's own loss over pairs in both orders with AdamW, weights in float32 under bf16 autocast, gradient checkpointing
on; FLOPs are counted by torch, recomputation left out (model FLOPs utilisation, Chowdhery et al. 2022, App. B), and
set against the device's dense bf16 peak. Scoring sets many candidates against one reference, plain and by the shared
prefix, weights in bf16. Without a CUDA device it says so and measures nothing. Left out: vLLM's prefix cache beside
ours, which needs an environment of its own.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from benchmarks._reporting import Row, arguments, finish  # noqa: E402
from rm.context import Example, Frames, pairwise  # noqa: E402
from rm.families import load_family  # noqa: E402
from rm.families.layout import Batch  # noqa: E402
from rm.forms import find_form  # noqa: E402
from rm.losses import Totals, Weights, totals, training_loss  # noqa: E402
from rm.model_folder import ModelCard  # noqa: E402
from rm.reward_model import RewardModel  # noqa: E402
from simulation import vlm  # noqa: E402

TEMPLATE = "overall quality . image 1 {image_1} image 2 {image_2} prompt : {prompt} . is image 2 better than image 1 ?"
PROMPT = "a red circle"
PEAK_BF16 = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}
"""Dense bf16 tensor FLOP/s by name, from the makers' data sheets (SXM where there are several)."""


@dataclass(frozen=True)
class Size:
    """Width, depth and so on of both towers; the picture's side in pixels; pairs a step and candidates a group."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    inner: int
    vocabulary: int
    vision_hidden: int
    vision_layers: int
    side: int
    pairs: int
    candidates: int
    deep: tuple[int, ...]


REAL = Size(2048, 28, 16, 8, 6144, 151_936, 1024, 24, 448, 8, 64, (5, 11, 17))
"""Shapes of Qwen/Qwen3-VL-2B-Instruct's config.json; pictures of 448 px are 196 tokens."""
TINY = Size(64, 2, 4, 2, 128, 256, 32, 2, 64, 2, 4, (0,))


def config(size: Size) -> Any:
    """The model's config, with the tokens of the simulation's tokenizer."""
    from transformers import Qwen3VLConfig

    base = vlm.build("small").config
    head = size.hidden // size.heads
    third = head // 2 // 8 * 3
    text = {"hidden_size": size.hidden, "num_hidden_layers": size.layers, "num_attention_heads": size.heads,
            "num_key_value_heads": size.kv_heads, "intermediate_size": size.inner, "head_dim": head,
            "vocab_size": size.vocabulary, "max_position_embeddings": 32_768,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_interleaved": True,
                                "mrope_section": [head // 2 - 2 * third, third, third]}}
    vision = {"hidden_size": size.vision_hidden, "depth": size.vision_layers, "out_hidden_size": size.hidden,
              "num_heads": 16 if size.vision_hidden >= 512 else 4, "intermediate_size": 4 * size.vision_hidden,
              "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2,
              "deepstack_visual_indexes": list(size.deep)}
    tokens = {f"{name}_token_id": getattr(base, f"{name}_token_id")
              for name in ("image", "video", "vision_start", "vision_end")}
    return Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **tokens)


def built(size: Size, folder: Path, device: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """Family and model; the folder holds config and tokenizer only."""
    from transformers import Qwen3VLForConditionalGeneration

    made = config(size)
    made.save_pretrained(folder)
    vlm.write_tokenizer(folder)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = Qwen3VLForConditionalGeneration(made)
    finally:
        torch.set_default_dtype(before)
    return load_family(folder, 4096 * 32 * 32), model


def picture(seed: int, side: int) -> Frames:
    """Noise."""
    return Frames(np.random.default_rng(seed).integers(0, 256, (1, side, side, 3)).astype(np.uint8))


def seconds(work: Callable[[], Any], rounds: int, device: str) -> float:
    """Median, after one call that warms up."""
    work()
    taken = []
    for _ in range(rounds):
        _wait(device)
        clock = time.perf_counter()
        work()
        _wait(device)
        taken.append(time.perf_counter() - clock)
    return float(np.median(taken))


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def peak_gib(device: str) -> float:
    """Most memory since the last call."""
    if device != "cuda":
        return 0.0
    found = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return found


def flops(work: Callable[[], Any]) -> float:
    """Of one call."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def training(size: Size, device: str, peak: float, rounds: int) -> list[Row]:
    """Tokens/s, model FLOPs utilisation, peak memory of whole optimiser steps."""
    with tempfile.TemporaryDirectory() as folder:
        family, model = built(size, Path(folder), device, torch.float32)
    examples: list[Example] = []
    for n in range(size.pairs):
        a, b = picture(2 * n, size.side), picture(2 * n + 1, size.side)
        examples += [pairwise(TEMPLATE, PROMPT, a, b, 0.9), pairwise(TEMPLATE, PROMPT, b, a, 0.1)]
    batch, one, form = family.encode(examples), family.encode(examples[:2]), find_form("pairwise")
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=device == "cuda")

    def forward_backward(batch: Batch = batch) -> None:
        with torch.autocast(device, torch.bfloat16):
            own = totals(batch)
            over = Totals(own.weight.to(device), own.tokens.to(device))
            loss = training_loss(family, model, form, batch, Weights(), over)
        loss.backward()  # type: ignore[no-untyped-call]

    # Of one pair, all of which are alike: without checkpointing the activations of a whole batch may not fit.
    counted = size.pairs * flops(lambda: forward_backward(one))
    optimiser.zero_grad(set_to_none=True)
    model.activation_checkpointing_enable({"use_reentrant": False})
    model.train()

    def step() -> None:
        forward_backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    peak_gib(device)
    taken, tokens = seconds(step, rounds, device), int(batch.attention_mask.sum())
    parameters, used = sum(p.numel() for p in model.parameters()), peak_gib(device)
    share, name = counted / taken / peak, f"{parameters / 1e9:.2f} B parameters, {size.pairs} pairs of {size.side} px"
    unit = f"share of peak ({tokens / taken:.0f} tokens/s)"
    return [Row(f"training MFU, {name}", share, None, share / 0.4, unit, 1.0, share >= 0.4),
            Row(f"training peak memory, {name}", used, None, 80 / max(used, 1e-9), "GiB, at most 80", 1.0, used <= 80)]


def scoring(size: Size, device: str, rounds: int) -> list[Row]:
    """Pairs a second of the shared prefix against the plain pass, their difference, peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        family, model = built(size, Path(folder), device, torch.bfloat16 if device == "cuda" else torch.float32)
    scorer = RewardModel(family, model, ModelCard(model_id="bench"))
    reference, shown = picture(0, size.side), [picture(n, size.side) for n in range(1, size.candidates + 1)]

    def plain() -> Any:
        own = [pairwise(TEMPLATE, PROMPT, Frames(reference.pixels.copy()), each) for each in shown]
        with torch.inference_mode():
            found = [scorer.form.read(family, model, family.verdict_states(model, family.encode(own[at:at + 16])))
                     for at in range(0, len(own), 16)]
        return torch.sigmoid(torch.cat(found)).float().cpu().numpy()

    def shared() -> Any:
        return scorer.score_group(PROMPT, [reference], shown, "t2i", "overall", TEMPLATE, 16)[0]

    difference = float(np.abs(plain() - shared()).max())
    peak_gib(device)
    slow, fast, used = seconds(plain, rounds, device), seconds(shared, rounds, device), peak_gib(device)
    ceiling, n = flops(plain) / flops(shared), size.candidates
    share = slow / fast / ceiling
    about = f"{n} candidates of {size.side} px, largest difference {difference:.1e}"
    return [Row(f"scoring pairs/s, shared prefix against plain, {about}", n / fast, n / slow, slow / fast, "pairs/s",
                1.2, slow / fast >= 1.2),
            Row(f"speed-up against its ceiling by FLOPs, {about}", slow / fast, ceiling, share, "times", 0.7,
                share >= 0.7),
            Row("scoring peak memory", used, None, 80 / max(used, 1e-9), "GiB, at most 80", 1.0, used <= 80)]


def main() -> None:
    """On a CUDA device; elsewhere a sentence and no rows."""
    args = arguments(__doc__ or "")
    if not torch.cuda.is_available():
        print("no CUDA device: nothing was measured")
        if args.json:
            args.json.write_text("[]\n", encoding="utf-8")
        return
    name = torch.cuda.get_device_name()
    peak = next((value for key, value in PEAK_BF16.items() if key in name), None)
    if peak is None:
        print(f"the bf16 peak of {name} is not known here: add it to PEAK_BF16")
        return
    rounds = 3 if args.quick else 10
    rows = scoring(REAL, "cuda", rounds)
    gc.collect()
    torch.cuda.empty_cache()
    rows += training(REAL, "cuda", peak, rounds)
    notes = f"Device: {name}, torch {torch.__version__}.\n\nCommand: `python benchmarks/gpu_scaling.py`.\n"
    finish("gpu_scaling", rows, args, notes)


if __name__ == "__main__":
    main()
