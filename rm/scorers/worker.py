"""HPSv3, PickScore or ImageReward in an environment of its own: one file, started by process.py with that Python.

    PYTHON worker.py hpsv3|pickscore|imagereward '{"weights": "…", "device": "cuda"}'

Reads one JSON document a line, {"prompts": […], "images": [base64 PNG, …]}, and answers {"rewards": […]} or
{"error": "…"}; the first line says {"ready": NAME}. What the packages print goes to stderr. Needs Pillow and the
scorer's own package; nothing of this project.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Python puts the script's own folder first, and this one has modules (http.py) that others would meet.
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != os.path.dirname(os.path.abspath(__file__))]

import base64
import io
import json
from typing import Any

from PIL import Image


def hpsv3(weights: str = "", device: str = "cuda") -> Any:
    """mu of MizzenAI/HPSv3's HPSv3RewardInferencer."""
    from hpsv3 import HPSv3RewardInferencer  # type: ignore[import-not-found]

    inferencer = HPSv3RewardInferencer(device=device, **({"checkpoint_path": weights} if weights else {}))
    # Its keyword is image_paths; pictures are taken too.
    return lambda prompts, images: [float(row[0]) for row in inferencer.reward(prompts=prompts, image_paths=images)]


def imagereward(weights: str = "ImageReward-v1.0", device: str = "cuda") -> Any:
    """ImageReward's score of each picture by itself."""
    import ImageReward  # type: ignore[import-not-found]

    model = ImageReward.load(weights, device=device)

    def rewards(prompts: list[str], images: list[Any]) -> list[float]:
        return [float(model.score(prompt, image)) for prompt, image in zip(prompts, images, strict=True)]

    return rewards


def pickscore(weights: str = "yuvalkirstain/PickScore_v1", device: str = "cuda") -> Any:
    """Scaled cosine of PickScore's CLIP, as its model card computes it."""
    import torch
    import transformers

    library: Any = transformers
    model = library.AutoModel.from_pretrained(weights).eval().to(device)
    tokenizer = library.AutoTokenizer.from_pretrained(weights)
    processor = library.AutoImageProcessor.from_pretrained(weights)

    @torch.inference_mode()
    def rewards(prompts: list[str], images: list[Any]) -> list[float]:
        pixels = processor(images=images, return_tensors="pt")["pixel_values"].to(device)
        words = tokenizer(prompts, padding=True, truncation=True, max_length=77, return_tensors="pt").to(device)
        out = model(input_ids=words["input_ids"], attention_mask=words["attention_mask"], pixel_values=pixels)
        similar = (out.text_embeds * out.image_embeds).sum(-1)
        return [float(value) for value in model.logit_scale.exp() * similar]

    return rewards


SCORERS = {"hpsv3": hpsv3, "imagereward": imagereward, "pickscore": pickscore}


def main(name: str, options: str) -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(document: dict[str, Any]) -> None:
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    rewards = SCORERS[name](**json.loads(options))
    tell({"ready": name})
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            images = [Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB") for data in asked["images"]]
            tell({"rewards": rewards(asked["prompts"], images)})
        except Exception as error:
            tell({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main(*sys.argv[1:])
