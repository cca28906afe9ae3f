"""Stage `candidate_features`: what a frozen model makes of each candidate, computed once and kept as embeddings.

A vector is the hidden state from which the model would answer a question about one picture, beside the mean of the
picture's own features: what was understood, and what was seen. Small heads on them (ensemble.py) learn from votes in
seconds, where training the model takes hours; that is enough to say which pairs are worth asking people about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from rm.context import Example, Frames, fill
from rm.features import FeatureCache
from rm.reward_model import RewardModel, frames_of, load_reward_model, sampled
from warehouse import Warehouse
from warehouse.errors import ConfigError
from warehouse.hashing import content_id
from warehouse.records import Row
from warehouse.stage import Receipt, Recorder, StageConfig, run_stage

LAYER = "verdict+picture"
QUESTION = "prompt : {prompt} . image 1 {image_1} is image 1 good ?"
_CHUNK = 256
_WITHOUT_FEATURES = """
SELECT c.candidate_id, c.media_id, p.text AS prompt FROM candidates c JOIN prompts p USING (prompt_id)
WHERE c.task = ? AND (? = '' OR c.source = ?) AND c.media_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM embeddings e WHERE e.candidate_id = c.candidate_id AND e.model_id = ? AND e.layer = ?)
ORDER BY c.candidate_id LIMIT ?
"""


class FeatureConfig(StageConfig):
    """Candidates of a task and source ("" = any), the model, and the question it is asked about each."""

    model_id: str
    task: str = "t2i"
    source: str = ""
    question: str = Field(default=QUESTION, min_length=1)


Vectors = NDArray[np.float32]


def candidate_features(model: RewardModel, asked: Sequence[tuple[str, Frames]], question: str, batch: int = 64
                       ) -> Vectors:
    """Vectors float32 [N, D] of (prompt, picture or clip); each part has mean 0 and length sqrt(its width)."""
    examples = [Example(fill(question, prompt, sampled(frames, model.max_frames), None)) for prompt, frames in asked]
    features, found = FeatureCache(model.family, model.model), []
    with torch.inference_mode():
        for start in range(0, len(examples), batch):
            encoded = model.family.encode(examples[start : start + batch])
            pictures = features(encoded)
            states = model.family.verdict_states(model.model, encoded, pictures).float()
            found.append(torch.cat([_standard(states), _standard(_seen(encoded.features_of, pictures, examples[
                start : start + batch], model.family.moment_frames))], dim=1))
    return torch.cat(found).cpu().numpy() if found else np.zeros((0, 0), np.float32)


def _seen(places: Sequence[int], pictures: Sequence[object], examples: Sequence[Example], length: int) -> torch.Tensor:
    """Mean picture feature of each example [B, width], over its moments of `length` frames."""
    means = torch.stack([picture.merged.float().mean(dim=0) for picture in pictures])  # type: ignore[attr-defined]
    rows, at = [], 0
    for example in examples:
        count = sum(len(part.moments(length)) for part in example.parts if isinstance(part, Frames))
        rows.append(means[list(places[at : at + count])].mean(dim=0))
        at += count
    return torch.stack(rows)


def _standard(values: torch.Tensor) -> torch.Tensor:
    centred = values - values.mean(dim=1, keepdim=True)
    return centred / centred.std(dim=1, keepdim=True).clamp_min(1e-6)


def _todo(warehouse: Warehouse, config: FeatureConfig, key: str) -> Iterator[list[Row]]:
    """Candidates without a vector, chunk by chunk; each chunk is stored before the next is asked for."""
    params = [config.task, config.source, config.source, key, LAYER, _CHUNK]
    while rows := warehouse.rows(_WITHOUT_FEATURES, params):
        yield rows


def run(config: FeatureConfig, warehouse: Warehouse) -> Receipt:
    """Write embeddings; outputs `feature_id`, under which they stand as model_id. ConfigError without candidates."""
    listed = warehouse.digest("SELECT candidate_id FROM candidates WHERE task = ? AND (? = '' OR source = ?) "
                              "AND media_id IS NOT NULL", [config.task, config.source, config.source])
    key = content_id("features", config.model_id, config.question)

    def body(recorder: Recorder) -> None:
        model: RewardModel | None = None
        for rows in _todo(warehouse, config, key):
            model = model or load_reward_model(warehouse, config.model_id)
            asked = [(row["prompt"], frames_of(warehouse.media.get(row["media_id"]), model.max_frames,
                                               row["media_id"])) for row in rows]
            made = [{"embedding_id": content_id("embedding", key, row["candidate_id"]), "model_id": key,
                     "candidate_id": row["candidate_id"], "layer": LAYER, "vector": vector.tolist()}
                    for row, vector in zip(rows, candidate_features(model, asked, config.question), strict=True)]
            recorder.count("embeddings", warehouse.merge("embeddings", made, run_id=recorder.run_id))
            recorder.count("read", len(rows))
        if not warehouse.rows("SELECT 1 FROM embeddings WHERE model_id = ? LIMIT 1", [key]):
            raise ConfigError(f"no {config.task} candidates to look at", hint="generate or ingest candidates first")
        recorder.output("feature_id", key)

    return run_stage("candidate_features", config, warehouse, {"candidates": listed}, body)
