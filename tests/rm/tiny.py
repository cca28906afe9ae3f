"""Tiny random checkpoints of each family, written by `save_pretrained`, with a word-level tokenizer.

They go through exactly the code that real ones do: real config classes, real model classes, real folders.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from simulation import vlm

WORDS = [*vlm.vocabulary(), "system", "You", "are", "helpful", "assistant.", *(f"Frame{n}" for n in range(1, 9)),
         *(f"({n / 4:.1f}" for n in range(16)), "s):", "<img>", "</img>", "<IMG_CONTEXT>"]
MARKERS = ["<img>", "</img>", "<IMG_CONTEXT>"]


def checkpoint(family: str, folder: Path) -> Path:
    """A random model of a family, its weights enlarged so that scores differ visibly."""
    torch.manual_seed(0)
    model = {"qwen3_vl": lambda: vlm.build("small"), "qwen2_5_vl": _qwen2_5_vl, "internvl": _internvl}[family]()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "embed" not in name:
                parameter.mul_(3.0)
    model.save_pretrained(folder)
    vlm.write_tokenizer(folder)
    if family != "qwen3_vl":
        _write_tokenizer(folder, family)
    return folder


def _text() -> dict[str, Any]:
    return {"vocab_size": len(WORDS), "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024,
            "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0}


def _qwen2_5_vl() -> Any:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2]}
    vision = {"depth": 2, "hidden_size": 32, "out_hidden_size": 48, "num_heads": 4, "intermediate_size": 64,
              "patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 16,
              "fullatt_block_indexes": [1]}
    tokens = {f"{name}_token_id": WORDS.index(f"<|{name}|>".replace("image", "image_pad").replace("video", "video_pad"))
              for name in ("vision_start", "vision_end", "image", "video")}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(
        text_config=_text() | {"rope_parameters": rope}, vision_config=vision, tie_word_embeddings=True,
        **tokens)).float().eval()


def _internvl() -> Any:
    from transformers import InternVLConfig, InternVLForConditionalGeneration

    vision = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
              "image_size": [32, 32], "patch_size": [4, 4]}
    return InternVLForConditionalGeneration(InternVLConfig(
        text_config=_text() | {"model_type": "qwen2"}, vision_config=vision, downsample_ratio=0.5, image_seq_length=16,
        image_token_id=WORDS.index("<IMG_CONTEXT>"), tie_word_embeddings=True)).float().eval()


def _write_tokenizer(folder: Path, family: str) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="<unk>", pad_token="<|endoftext|>", eos_token="<|im_end|>",
        additional_special_tokens=[*vlm.SPECIAL[:-1], *vlm.TIMES, *MARKERS])
    fast.save_pretrained(folder)
    picture = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3]}
    if family == "qwen2_5_vl":
        picture |= {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 4, "merge_size": 2,
                    "temporal_patch_size": 2, "min_pixels": 1024, "max_pixels": 1024}
    else:
        picture |= {"image_processor_type": "GotOcr2ImageProcessorFast", "size": {"height": 32, "width": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(picture))
