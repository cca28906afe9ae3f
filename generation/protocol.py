"""What a generator is to the rest of the house: prompts and seeds in, encoded media out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Generator(Protocol):
    """A back end at one revision; `params` are its sampling parameters and part of every candidate's id."""

    name: str
    kind: str
    revision: str
    params: Mapping[str, Any]
    media_kind: str

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[bytes]:
        """One PNG or MP4 per prompt, in order; the same prompt and seed give the same bytes."""
        ...
