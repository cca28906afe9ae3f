"""Qwen2.5-VL: the chat opens with its system turn; pictures are normalised as for CLIP."""

from __future__ import annotations

from rm.families.qwen_vl import QwenVL


class Qwen25VL(QwenVL):
    """One Qwen2.5-VL checkpoint."""

    model_type = "qwen2_5_vl"
    head = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    mean = (0.48145466, 0.4578275, 0.40821073)
    std = (0.26862954, 0.26130258, 0.27577711)
