"""Tiny vision-language models of a real transformers architecture (Qwen3-VL), with a word-level tokenizer.

Three sizes, because scaling is what the paper is about. A 32 px picture is 64 patches of 4 px, merged 2 x 2 into 16
tokens. The vocabulary is the world's words, those of captions, questions and rationales, and Qwen's special tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from simulation.flow import WORDS

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>", "<unk>")
TIMES = tuple(f"<{index / 4:.1f} seconds>" for index in range(16))
OTHER_WORDS = (
    "user", "assistant", "yes", "no", "prompt", ":", ".", "?", ",", "image", "1", "2", "first", "second", "one",
    "is", "it", "better", "than", "does", "show", "match", "the", "what", "which", "how", "many", "there",
    "any", "clean", "noisy", "blurred", "damaged", "warm", "cool", "neutral", "background", "moves", "objects",
    "object", "nothing", "and", "in", "with", "overall", "judge", "quality", "text", "alignment", "visual",
    "motion", "answer", "or", "because", "has", "right", "wrong", "colour", "shape", "count", "size",
    "position", "cleaner", "noisier", "larger", "smaller", "warmer", "cooler", "more", "fewer", "good", "bad",
    "both", "same", "closer", "to", "moving", "steady", "unsteady", "true", "false", "worse", "sharper",
    "softer", "missing", "extra", "place", "picture", "clip",
)
# About 1 / sqrt(width): with the usual 0.02, widths of a hundred learn to ground a word in a picture half as fast.
INITIAL_SCALE = 0.08
SIZES: dict[str, dict[str, int]] = {
    "small": {"width": 48, "layers": 3, "heads": 4, "vision_width": 48, "vision_depth": 2},
    "middle": {"width": 112, "layers": 4, "heads": 4, "vision_width": 80, "vision_depth": 2},
    "large": {"width": 192, "layers": 6, "heads": 6, "vision_width": 144, "vision_depth": 3},
}


def vocabulary() -> list[str]:
    """Every token, special ones first, without repeats."""
    return list(dict.fromkeys([*SPECIAL, *TIMES, *WORDS, *OTHER_WORDS]))


def write_tokenizer(folder: Path) -> None:
    """A word-level tokenizer in the Hugging Face layout."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = vocabulary()
    core = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core, unk_token="<unk>", pad_token="<|endoftext|>",
                                   eos_token="<|im_end|>", additional_special_tokens=[*SPECIAL[:-1], *TIMES])
    fast.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "image_processor_type": "Qwen2VLImageProcessor", "patch_size": 4, "merge_size": 2, "temporal_patch_size": 2,
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"shortest_edge": 1024, "longest_edge": 1024}}) + "\n")


def build(size: str) -> Any:
    """A freshly initialised model of one size; seed torch before."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    s, words = SIZES[size], vocabulary()
    head = s["width"] // s["heads"]
    config = Qwen3VLConfig(
        text_config={"vocab_size": len(words), "hidden_size": s["width"], "intermediate_size": 3 * s["width"],
                     "num_hidden_layers": s["layers"], "num_attention_heads": s["heads"],
                     "num_key_value_heads": s["heads"], "head_dim": head, "max_position_embeddings": 4096,
                     "initializer_range": INITIAL_SCALE,
                     "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0,
                                         "mrope_section": _sections(head), "mrope_interleaved": True}},
        vision_config={"depth": s["vision_depth"], "hidden_size": s["vision_width"],
                       "intermediate_size": 3 * s["vision_width"], "num_heads": 4, "patch_size": 4,
                       "initializer_range": INITIAL_SCALE,
                       "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": s["width"],
                       "num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
        image_token_id=words.index("<|image_pad|>"), video_token_id=words.index("<|video_pad|>"),
        vision_start_token_id=words.index("<|vision_start|>"), vision_end_token_id=words.index("<|vision_end|>"),
        tie_word_embeddings=True)
    config._attn_implementation = "sdpa"
    return Qwen3VLForConditionalGeneration(config).float()  # type: ignore[no-untyped-call]


def _sections(head: int) -> list[int]:
    """Split of head_dim / 2 rotary pairs over time, rows and columns."""
    half = head // 2
    return [half - 2 * (half // 3), half // 3, half // 3]
