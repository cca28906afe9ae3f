"""How many tokens the samples of a training are, known before anything is decoded: batches of one length pad nothing.

A picture's tokens follow from its size, which stands in its header; a clip's from size and number of frames.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from rm.context import Frames
from rm.families.family import Family
from rm.loader import PairExamples
from warehouse.media.probe import probe

_BLOCK = 256


class Blank:
    """Frames of the right number and size without their pixels, in the place of a decoder."""

    def __init__(self, max_frames: int) -> None:
        self._max_frames = max_frames

    def __call__(self, media_id: str, data: bytes) -> Frames:
        """Zeros [T, H, W, 3] that take no memory; raises MediaError for what is neither picture nor clip."""
        try:
            with Image.open(io.BytesIO(data)) as picture:
                (width, height), count, seconds = picture.size, 1, 0.0
        except UnidentifiedImageError:
            info = probe(data)
            width, height, count, seconds = info.width_px, info.height_px, info.frames, info.duration_s or 0.0
        shown = min(count, self._max_frames)
        pixels = np.broadcast_to(np.uint8(0), (shown, height, width, 3))
        return Frames(pixels, tuple(np.linspace(0.0, seconds, shown).tolist()), media_id)


def token_lengths(examples: PairExamples, family: Family, max_frames: int) -> NDArray[np.int64]:
    """Tokens [N] of each sample's longer example, its answer included."""
    blank = PairExamples(examples.parts, Blank(max_frames), examples.asking)
    found = np.zeros(len(examples), np.int64)
    for start in range(0, len(found), _BLOCK):
        places = range(start, min(start + _BLOCK, len(found)))
        found[places] = [max(family.length(each.parts) + family.answer_length(each) for each in pair)
                         for pair in blank.__getitems__(places)]
    return found
