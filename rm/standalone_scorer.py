"""Reward = P("yes") that a candidate beats a reference: one file beside a checkpoint; torch, transformers and Pillow.

    from scorer import Scorer
    scorer = Scorer("FOLDER", device="cuda")
    scorer.score("a red circle", "reference.png", ["one.png", "two.png"])   # -> [0.31, 0.84]

A picture is a path, a PIL image or a uint8 array [H, W, 3]; a clip is a list of (picture, seconds). Exported by
RewardDance; scorer.json beside this file holds the numbers of the checkpoint's family. It reads each pair on its own
through the checkpoint's own forward pass: simple rather than fast.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoTokenizer


class Scorer:
    """A loaded checkpoint, frozen."""

    def __init__(self, folder: str | Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.card = json.loads((Path(folder) / "rm.json").read_text(encoding="utf-8"))
        self.facts = json.loads((Path(folder) / "scorer.json").read_text(encoding="utf-8"))
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        loaded: Any = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype)
        self.model = loaded.to(device).eval()

    def score(self, prompt: str, reference: Any, candidates: list[Any], task: str = "t2i", dimension: str = "overall",
              instruction: str | None = None) -> list[float]:
        """P("yes") of each candidate against the reference; KeyError where the model was never asked that."""
        template = instruction or self.card["instructions"][task][dimension]
        return [self._score(template, prompt, reference, candidate) for candidate in candidates]

    @torch.inference_mode()
    def _score(self, template: str, prompt: str, reference: Any, candidate: Any) -> float:
        ids, pictures = self._read(template, prompt, {"image_1": reference, "image_2": candidate})
        tokens = torch.tensor([ids], device=self.model.device)
        inputs = self._pixels(pictures)
        if "image_grid_thw" in inputs:
            inputs["mm_token_type_ids"] = (tokens == self.facts["picture"]["feature"]).int()
        logits = self.model(input_ids=tokens, attention_mask=torch.ones_like(tokens), **inputs).logits[0, -1].float()
        yes, no = (logits[self.facts[word]].logsumexp(0) for word in ("yes", "no"))
        return float(torch.sigmoid(yes - no))

    def _read(self, template: str, prompt: str, images: dict[str, Any]) -> tuple[list[int], list[Any]]:
        """Token ids of the question, and its pictures in reading order."""
        ids, pictures, text = self._tokens(self.facts["head"]), [], ""
        for piece in re.split(r"\{(prompt|image_1|image_2)\}", template):
            if piece not in images:
                text += prompt if piece == "prompt" else piece
                continue
            ids += self._tokens(self._plain(text)) if text.strip() else []
            text, clip = "", self._sampled(images[piece])
            size = self.facts["moment_frames"] if len(clip) > 1 else 1
            for start in range(0, len(clip), size):
                moment = [clip[min(place, len(clip) - 1)] for place in range(start, start + size)]
                time_s = (moment[0][1] + moment[-1][1]) / 2
                label = self.facts["label"].format(number=start // size + 1, time_s=time_s) if len(clip) > 1 else ""
                pictures.append(np.stack([self._fitted(picture) for picture, _ in moment]))
                ids += [*self._tokens(label), *self._picture_tokens(pictures[-1]),
                        *self._tokens(self.facts["after_picture"])]
        ids += self._tokens(self._plain(text)) if text.strip() else []
        return ids + self._tokens(self.facts["tail"]), pictures

    def _plain(self, text: str) -> str:
        """What people wrote, special tokens broken up: a prompt is never markup."""
        return re.sub(self.facts["markup"], lambda found: f"{found[0][0]} {found[0][1:]}", text)

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _sampled(self, shown: Any) -> list[Any]:
        """(picture, seconds) of at most as many frames as the model was trained on, from first to last."""
        clip, most = shown if isinstance(shown, list) else [(shown, 0.0)], self.card["max_frames"]
        if len(clip) <= most:
            return clip
        return [clip[index] for index in np.linspace(0, len(clip) - 1, most).round().astype(int)]

    def _fitted(self, picture: Any) -> np.ndarray:  # type: ignore[type-arg]
        opened = Image.open(picture) if isinstance(picture, str | Path) else picture
        shown = opened if isinstance(opened, Image.Image) else Image.fromarray(opened)
        height, width = self._size(shown.height, shown.width)
        shown = shown.convert("RGB")
        if (shown.height, shown.width) != (height, width):
            shown = shown.resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(shown)

    def _size(self, height: int, width: int) -> tuple[int, int]:
        if "side" in self.facts:
            return self.facts["side"], self.facts["side"]
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

        f = self.facts
        size: tuple[int, int] = smart_resize(height, width, f["patch_px"] * f["merge"], f["min_pixels"],
                                             f["max_pixels"])
        return size

    def _picture_tokens(self, picture: np.ndarray) -> list[int]:  # type: ignore[type-arg]
        p, f = self.facts["picture"], self.facts
        count = f["tokens"] if "side" in f else picture.shape[1] * picture.shape[2] // (f["patch_px"] * f["merge"]) ** 2
        return [p["start"], *[p["feature"]] * count, p["end"]]

    def _pixels(self, pictures: list[Any]) -> dict[str, Any]:
        """The model's arguments for pictures [frames, H, W, 3]."""
        f, device = self.facts, self.model.device
        scaled = [(torch.from_numpy(p.copy()).float() / 255 - torch.tensor(f["mean"])) / torch.tensor(f["std"])
                  for p in pictures]
        if "side" in f:
            return {"pixel_values": torch.cat(scaled).permute(0, 3, 1, 2).to(device, self.model.dtype)}
        grids = [[1, p.shape[1] // f["patch_px"], p.shape[2] // f["patch_px"]] for p in pictures]
        values = torch.cat([self._patches(p) for p in scaled])
        return {"pixel_values": values.to(device, self.model.dtype),
                "image_grid_thw": torch.tensor(grids, device=device)}

    def _patches(self, picture: torch.Tensor) -> torch.Tensor:
        """Rows of (channel, frame, patch row, patch column) in merge-window order, as Qwen's processor."""
        p, m, copies = self.facts["patch_px"], self.facts["merge"], self.facts["copies"]
        frames, rows, columns = len(picture), picture.shape[1] // p, picture.shape[2] // p
        x = picture.view(frames, rows // m, m, p, columns // m, m, p, 3).permute(1, 4, 2, 5, 7, 0, 3, 6)
        x = x.expand(*x.shape[:5], copies, p, p)
        return x.reshape(rows * columns, 3 * copies * p * p)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: python scorer.py PROMPT REFERENCE CANDIDATE [CANDIDATE ...]")
    print(json.dumps(Scorer(Path(__file__).parent).score(sys.argv[1], sys.argv[2], sys.argv[3:])))
