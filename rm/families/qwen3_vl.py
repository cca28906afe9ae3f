"""Qwen3-VL: chat template, image-token expansion, multimodal positions and the forward pass with shared features.

Built on AutoTokenizer and the numbers of the image processor's config, because AutoProcessor needs torchvision. Clips
go in as frames, each an image after its time "<0.5 s>". Image features are computed once per distinct picture of a
batch, however often it stands in it. Positions follow `get_rope_index` of transformers (a test compares them).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rm.context import Example, Frames, Part, Text
from rm.families.layout import Batch, PictureKey, Row, pad
from rm.families.pixels import PatchGeometry, fit, fitted_size, patchify, to_unit
from rm.verdict import find_verdict
from warehouse.errors import InvalidInputError

__all__ = ["Batch", "PictureFeatures", "Qwen3VL"]
_IMAGE = -1
_HEAD = "<|im_start|>user\n"
_TAIL = "<|im_end|>\n<|im_start|>assistant\n"
Layout = list[int | tuple[int, int, int]]


@dataclass(frozen=True, eq=False)
class PictureFeatures:
    """What the language model reads of one picture: features [tokens, width], and one such per deep-stack layer."""

    merged: Tensor
    deep: tuple[Tensor, ...]


class Qwen3VL:
    """Reading and running one Qwen3-VL checkpoint; `path` is a folder with config and tokenizer."""

    model_type = "qwen3_vl"
    end = "<|im_end|>"

    def __init__(self, path: str | Path, config: Any, max_pixels: int | None = None) -> None:
        from transformers import AutoTokenizer

        self.config = config
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.verdict = find_verdict(self.tokenizer)
        self.geometry = _geometry(Path(path), config, max_pixels)
        self._tokens = lru_cache(maxsize=65536)(self._tokenize)
        self._expand = lru_cache(maxsize=16384)(self._lay_out)

    def load_model(self, path: str | Path) -> Any:
        """The checkpoint's weights in float32 on the CPU."""
        from transformers import AutoModelForImageTextToText

        return AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32)

    def _tokenize(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _layout(self, parts: Sequence[Part], tail: bool = True) -> Layout:
        """Token ids, with (_IMAGE, height, width) where an image's tokens go."""
        c = self.config
        layout: Layout = [*self._tokens(_HEAD)]
        for part in parts:
            if isinstance(part, Text):
                layout += self._tokens(part.text)
                continue
            size = fitted_size(*part.pixels.shape[1:3], self.geometry)
            for time in part.times_s:
                if len(part.times_s) > 1:
                    layout += self._tokens(f"<{time:.1f} s>")
                layout += [c.vision_start_token_id, (_IMAGE, *size), c.vision_end_token_id]
        return [*layout, *self._tokens(_TAIL)] if tail else layout

    def _lay_out(self, layout: tuple[int | tuple[int, int, int], ...]) -> Row:
        ids: list[int] = []
        places: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        at = 0
        for item in layout:
            if isinstance(item, int):
                ids.append(item)
                places.append(np.full((3, 1), at))
                at += 1
                continue
            rows, columns = (side // self.geometry.merge for side in self.geometry.grid(*item[1:]))
            ids += [self.config.image_token_id] * (rows * columns)
            grid = np.stack([np.zeros(rows * columns, np.int64), np.repeat(np.arange(rows), columns),
                             np.tile(np.arange(columns), rows)])
            places.append(grid + at)
            at += max(rows, columns)
        return Row(np.array(ids, np.int64), np.concatenate(places, axis=1))

    def length(self, parts: Sequence[Part], tail: bool = True) -> int:
        """Tokens of a question; without `tail`, of its first parts only."""
        return len(self._expand(tuple(self._layout(parts, tail))).ids)

    def encode(self, examples: Sequence[Example]) -> Batch:
        """One batch from examples; raises InvalidInputError where there is none."""
        if not examples:
            raise InvalidInputError("an empty batch")
        pictures: list[Any] = []
        seen: dict[PictureKey, int] = {}
        features_of: list[int] = []
        for part in (part for example in examples for part in example.parts if isinstance(part, Frames)):
            for index in range(len(part.times_s)):
                key = (id(part.pixels), index)
                if key not in seen:
                    seen[key] = len(pictures)
                    pictures.append(fit(part.pixels[index], self.geometry))
                features_of.append(seen[key])
        rows = [(self._expand(tuple(self._layout(e.parts))), self._tokens(e.answer) if e.answer else ())
                for e in examples]
        return pad(rows, examples, pictures, list(seen), features_of)

    def image_features(self, model: Any, pictures: Sequence[Any]) -> list[PictureFeatures]:
        """Features of each picture; pictures of one size go through the vision tower together."""
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, picture in enumerate(pictures):
            by_size.setdefault(tuple(picture.shape[:2]), []).append(index)
        found: list[Any] = [None] * len(pictures)
        for (height, width), members in by_size.items():
            values = patchify(to_unit([pictures[i] for i in members]).to(model.device), self.geometry)
            grid = torch.tensor([[1, *self.geometry.grid(height, width)]] * len(members), device=model.device)
            out = model.model.visual(values, grid)
            tokens = self.geometry.tokens(height, width)
            merged = out.pooler_output.split(tokens)
            deep = [layer.split(tokens) for layer in out.deepstack_features]
            for slot, index in enumerate(members):
                found[index] = PictureFeatures(merged[slot], tuple(layer[slot] for layer in deep))
        return found

    def _embed(self, model: Any, ids: Tensor, shown: Sequence[PictureFeatures]) -> dict[str, Any]:
        """Embeddings with image features in their places, and the deep-stack arguments; `shown` in reading order."""
        embeds = model.model.get_input_embeddings()(ids)
        if not shown:
            return {"inputs_embeds": embeds}
        visual = ids == self.config.image_token_id
        embeds = embeds.masked_scatter(visual[..., None], torch.cat([f.merged for f in shown]).to(embeds.dtype))
        deep = [torch.cat(layer) for layer in zip(*(f.deep for f in shown), strict=True)]
        return {"inputs_embeds": embeds, "visual_pos_masks": visual, "deepstack_visual_embeds": deep or None}

    def hidden(self, model: Any, batch: Batch, features: Sequence[PictureFeatures] | None = None) -> Tensor:
        """Last hidden states [B, L, width]; `features` of `batch.pictures` where they are known already."""
        found = self.image_features(model, batch.pictures) if features is None else features
        inputs = self._embed(model, batch.input_ids.to(model.device), [found[i] for i in batch.features_of])
        states: Tensor = model.model.language_model(
            **inputs, attention_mask=batch.attention_mask.to(model.device),
            position_ids=batch.position_ids.to(model.device), use_cache=False).last_hidden_state
        return states

    def verdict_logits(self, model: Any, batch: Batch, features: Sequence[PictureFeatures] | None = None) -> Tensor:
        """Logits [B, V] of the first answer token."""
        states = self.hidden(model, batch, features)
        chosen = states[torch.arange(len(states)), batch.verdict_index.to(states.device)]
        logits: Tensor = model.lm_head(chosen)
        return logits

    def read_prefix(self, model: Any, batch: Batch, shared: int, features: Sequence[PictureFeatures]) -> Any:
        """Key/value cache of the first `shared` tokens, which all rows of the batch have in common."""
        from transformers import DynamicCache

        cache = DynamicCache(config=self.config.get_text_config())
        ids = batch.input_ids[:1, :shared].to(model.device)
        shown = [features[i] for i in batch.features_of[:self._slots(batch, shared)]]
        model.model.language_model(**self._embed(model, ids, shown), past_key_values=cache, use_cache=True,
                                   position_ids=batch.position_ids[:, :1, :shared].to(model.device))
        return cache

    def verdict_logits_after(self, model: Any, batch: Batch, shared: int, cache: Any,
                             features: Sequence[PictureFeatures]) -> Tensor:
        """Logits [B, V] like `verdict_logits`, reading only what follows the prefix in `cache` (left unchanged)."""
        count, before = len(batch.input_ids), self._slots(batch, shared)
        slots = (batch.input_ids == self.config.vision_start_token_id).sum(1).tolist()
        starts = [sum(slots[:row]) for row in range(count)]
        shown = [features[i] for start, each in zip(starts, slots, strict=True)
                 for i in batch.features_of[start + before:start + each]]
        expanded = copy.deepcopy(cache)
        expanded.batch_repeat_interleave(count)
        states = model.model.language_model(
            **self._embed(model, batch.input_ids[:, shared:].to(model.device), shown), past_key_values=expanded,
            use_cache=True, attention_mask=batch.attention_mask.to(model.device),
            position_ids=batch.position_ids[:, :, shared:].to(model.device)).last_hidden_state
        chosen = states[torch.arange(count), batch.verdict_index.to(states.device) - shared]
        logits: Tensor = model.lm_head(chosen)
        return logits

    def _slots(self, batch: Batch, shared: int) -> int:
        """Image slots of the first row within its first `shared` tokens."""
        return int((batch.input_ids[0, :shared] == self.config.vision_start_token_id).sum())


def _geometry(path: Path, config: Any, max_pixels: int | None) -> PatchGeometry:
    """Numbers of preprocessor_config.json where there is one, else the family's defaults."""
    vision = config.vision_config
    file = path / "preprocessor_config.json"
    stored = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    size = stored.get("size", {})
    window = int(vision.patch_size) * int(vision.spatial_merge_size)
    return PatchGeometry(
        int(vision.patch_size), int(vision.spatial_merge_size), int(vision.temporal_patch_size),
        tuple(stored.get("image_mean", (0.5, 0.5, 0.5))), tuple(stored.get("image_std", (0.5, 0.5, 0.5))),
        min_pixels=int(size.get("shortest_edge", window * window)),
        max_pixels=max_pixels or int(size.get("longest_edge", 768 * window * window)))
