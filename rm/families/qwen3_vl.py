"""Qwen3-VL: chat template, image-token expansion, multimodal positions and the forward pass with shared features.

Built on AutoTokenizer and the numbers of the image processor's config, because AutoProcessor needs torchvision. Clips
go in as frames, each an image after its time "<0.5 s>". Image features are computed once per distinct picture of a
batch, however often it stands in it. Positions follow `get_rope_index` of transformers (a test compares them).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rm.context import Example, Frames, Text
from rm.families.pixels import PatchGeometry, fit, patchify, to_unit
from rm.verdict import find_verdict
from warehouse.errors import InvalidInputError

_IMAGE = -1


@dataclass
class Batch:
    """One right-padded batch. `features_of` says which distinct picture each image slot shows, in reading order."""

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    pictures: list[Any]
    features_of: list[int]
    verdict_index: Tensor
    labels: Tensor
    targets: Tensor
    weights: Tensor


class Qwen3VL:
    """Reading and running one Qwen3-VL checkpoint; `path` is a folder with config and tokenizer."""

    model_type = "qwen3_vl"

    def __init__(self, path: str | Path, config: Any, max_pixels: int | None = None) -> None:
        from transformers import AutoTokenizer

        self.config = config
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.verdict = find_verdict(self.tokenizer)
        self.geometry = _geometry(Path(path), config, max_pixels)
        self._ids: dict[str, list[int]] = {}

    def load_model(self, path: str | Path) -> Any:
        """The checkpoint's weights in float32 on the CPU."""
        from transformers import AutoModelForImageTextToText

        return AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32)

    def _tokens(self, text: str) -> list[int]:
        if text not in self._ids:
            self._ids[text] = self.tokenizer(text, add_special_tokens=False).input_ids
        return self._ids[text]

    def _layout(self, example: Example, size: Any) -> list[int | tuple[Any, ...]]:
        """Token ids, with (_IMAGE, picture) where an image's tokens go."""
        c = self.config
        layout: list[int | tuple[Any, ...]] = [*self._tokens("<|im_start|>user\n")]
        for part in example.parts:
            if isinstance(part, Text):
                layout += self._tokens(part.text)
                continue
            for index, time in enumerate(part.times_s):
                if len(part.times_s) > 1:
                    layout += self._tokens(f"<{time:.1f} s>")
                layout += [c.vision_start_token_id, (_IMAGE, size(part, index)), c.vision_end_token_id]
        return [*layout, *self._tokens("<|im_end|>\n<|im_start|>assistant\n")]

    def _expand(self, layout: list[int | tuple[Any, ...]]) -> tuple[list[int], Tensor]:
        """Ids [L] and positions [3, L] (time, row, column)."""
        ids: list[int] = []
        places: list[Tensor] = []
        at = 0
        for item in layout:
            if isinstance(item, int):
                ids.append(item)
                places.append(torch.full((3, 1), at))
                at += 1
                continue
            rows, columns = (side // self.geometry.merge for side in self.geometry.grid(*item[1]))
            ids += [self.config.image_token_id] * (rows * columns)
            grid = torch.stack([torch.zeros(rows * columns, dtype=torch.long),
                                torch.arange(rows).repeat_interleave(columns), torch.arange(columns).repeat(rows)])
            places.append(grid + at)
            at += max(rows, columns)
        return ids, torch.cat(places, dim=1)

    def encode(self, examples: Sequence[Example]) -> Batch:
        """One batch from examples; raises InvalidInputError where there is none."""
        if not examples:
            raise InvalidInputError("an empty batch")
        pictures: list[Any] = []
        seen: dict[tuple[int, int], int] = {}
        features_of: list[int] = []

        def size(part: Frames, index: int) -> tuple[int, int]:
            key = (id(part.pixels), index)
            if key not in seen:
                picture = part.pixels[index]
                seen[key] = len(pictures)
                pictures.append(fit(picture, self.geometry) if isinstance(picture, np.ndarray) else picture)
            features_of.append(seen[key])
            return tuple(pictures[seen[key]].shape[:2])

        rows = []
        for example in examples:
            ids, places = self._expand(self._layout(example, size))
            answer = self._tokens(example.answer) if example.answer else []
            rows.append((ids, places, answer))
        return self._pad(rows, examples, pictures, features_of)

    def _pad(self, rows: list[tuple[list[int], Tensor, list[int]]], examples: Sequence[Example], pictures: list[Any],
             features_of: list[int]) -> Batch:
        longest = max(len(ids) + len(answer) for ids, _, answer in rows)
        count = len(rows)
        input_ids = torch.zeros(count, longest, dtype=torch.long)
        mask = torch.zeros(count, longest, dtype=torch.long)
        positions = torch.zeros(3, count, longest, dtype=torch.long)
        labels = torch.full((count, longest), -100)
        for index, (ids, places, answer) in enumerate(rows):
            end = len(ids) + len(answer)
            input_ids[index, :end] = torch.tensor(ids + answer)
            mask[index, :end] = 1
            positions[:, index, :len(ids)] = places
            positions[:, index, len(ids):end] = int(places.max()) + 1 + torch.arange(len(answer))
            labels[index, len(ids):end] = torch.tensor(answer, dtype=torch.long)
        return Batch(input_ids, mask, positions, pictures, features_of,
                     torch.tensor([len(ids) - 1 for ids, _, _ in rows]), labels,
                     torch.tensor([float("nan") if e.target is None else e.target for e in examples]),
                     torch.tensor([e.weight for e in examples]))

    def image_features(self, model: Any, pictures: list[Any]) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Language-model features of each picture [tokens, width], and the deep-stack features likewise by layer."""
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, picture in enumerate(pictures):
            by_size.setdefault(tuple(picture.shape[:2]), []).append(index)
        merged: list[Any] = [None] * len(pictures)
        deep: list[Any] = [None] * len(pictures)
        for (height, width), members in by_size.items():
            values = patchify(to_unit([pictures[i] for i in members]), self.geometry)
            grid = torch.tensor([[1, *self.geometry.grid(height, width)]] * len(members))
            out = model.model.visual(values.to(model.device), grid.to(model.device))
            tokens = self.geometry.tokens(height, width)
            for slot, index in enumerate(members):
                span = slice(slot * tokens, (slot + 1) * tokens)
                merged[index] = out.pooler_output[span]
                deep[index] = [feature[span] for feature in out.deepstack_features]
        return merged, deep

    def hidden(self, model: Any, batch: Batch) -> Tensor:
        """Last hidden states [B, L, width] of a batch."""
        ids = batch.input_ids.to(model.device)
        embeds = model.model.get_input_embeddings()(ids)
        visual = ids == self.config.image_token_id
        deep: list[Tensor] | None = None
        if batch.pictures:
            merged, stacked = self.image_features(model, batch.pictures)
            embeds = embeds.masked_scatter(visual[..., None], torch.cat([merged[i] for i in batch.features_of]))
            layers = range(len(stacked[0]))
            deep = [torch.cat([stacked[i][layer] for i in batch.features_of]) for layer in layers]
        out = model.model.language_model(input_ids=None, inputs_embeds=embeds,
                                         attention_mask=batch.attention_mask.to(model.device),
                                         position_ids=batch.position_ids.to(model.device), use_cache=False,
                                         visual_pos_masks=visual if deep is not None else None,
                                         deepstack_visual_embeds=deep)
        states: Tensor = out.last_hidden_state
        return states

    def verdict_logits(self, model: Any, batch: Batch) -> Tensor:
        """Logits [B, V] of the first answer token."""
        states = self.hidden(model, batch)
        chosen = states[torch.arange(len(states)), batch.verdict_index.to(states.device)]
        logits: Tensor = model.lm_head(chosen)
        return logits


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
