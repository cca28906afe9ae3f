"""What may separate two candidates without being about either: brightness, saturation, sharpness, file size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rm.context import Frames

NUISANCES = ("brightness", "saturation", "sharpness", "file_size")


def nuisances(frames: Frames, stored_bytes: int) -> NDArray[np.float64]:
    """One value per name [4]: mean level, mean colourfulness, mean step between neighbours, bytes as stored."""
    pixels = np.asarray(frames.pixels, np.float64)
    return np.array([pixels.mean(), (pixels.max(-1) - pixels.min(-1)).mean(),
                     np.abs(np.diff(pixels.mean(-1), axis=-1)).mean(), stored_bytes])
