"""Makes tests/rm/data/frozen_preprocessing.json: token ids and pixel tensors of one question, by transformers alone.

    python -m tests.rm.frozen_preprocessing

Token ids come from the tiny tokenizers of tests/rm/tiny.py over the published chat templates, written out by hand in
test_family.py; pixel values from transformers' own Qwen2VLImageProcessorPil and GotOcr2ImageProcessorPil. None of this
project's preprocessing takes part, so that a test against the file fails when either side moves.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers

from rm.families import FAMILIES, load_family
from tests.rm import tiny, world

FILE = Path(__file__).parent / "data" / "frozen_preprocessing.json"


def main() -> None:
    """Write the file."""
    from transformers import AutoTokenizer

    from tests.rm.test_family import FRAME, PICTURE, _their_pixels

    found: dict[str, object] = {"transformers": transformers.__version__, "made_by": "tests/rm/frozen_preprocessing.py"}
    for name in sorted(FAMILIES):
        with tempfile.TemporaryDirectory() as folder:
            path = tiny.checkpoint(name, Path(folder) / name)
            tokenizer = AutoTokenizer.from_pretrained(path)
            text = FRAME[name].format(PICTURE[name], PICTURE[name])
            pixels = _their_pixels(load_family(path), [world.frames(1, side=32).pixels])["pixel_values"]
            flat = torch.as_tensor(pixels).flatten().double()
            found[name] = {"ids": tokenizer(text, add_special_tokens=False).input_ids,
                           "pixels_shape": list(pixels.shape), "pixels_first": flat[:16].tolist(),
                           "pixels_sum": float(flat.sum()), "pixels_square_sum": float(flat.square().sum()),
                           "pixels_weighted": float((flat * torch.from_numpy(np.cos(np.arange(len(flat))))).sum())}
    FILE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
