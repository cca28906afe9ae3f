"""References kept on the server, so that a trainer sends candidates only.

By prompt id, which is the warehouse's: it follows from task and words, so that clients who know the words alone find
the same references. Memory is limited; what does not fit is refused, because a forgotten reference is a failed step.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from rm.context import Frames
from warehouse import Warehouse
from warehouse.errors import ConflictError, InvalidInputError, NotFoundError
from warehouse.records import prompt_row

_RANKED = """
SELECT r.prompt_id, p.text, c.media_id FROM reference_ranks r JOIN prompts p USING (prompt_id)
JOIN candidates c USING (candidate_id) WHERE starts_with(r.rank_id, ?) ORDER BY r.prompt_id, r.rank
"""


def prompt_key(prompt: str, prompt_id: str, task: str) -> str:
    """The given id, or the one that words and task have; raises InvalidInputError where there is neither."""
    if prompt_id:
        return prompt_id
    if not prompt:
        raise InvalidInputError("an item needs a prompt, or the id of one whose references are kept")
    return str(prompt_row(prompt, task, "video" if task in ("t2v", "i2v") else "image", "server")["prompt_id"])


class KeptReferences:
    """Frames by prompt id, best first, and the prompt's words; safe to use from several threads."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit, self._size = limit_bytes, 0
        self._held: dict[str, tuple[str, tuple[Frames, ...]]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def nbytes(self) -> int:
        """Bytes of pixels held."""
        return self._size

    def keep(self, prompt_id: str, prompt: str, frames: Sequence[Frames]) -> None:
        """Keep these in place of what was kept; none forgets the prompt. Raises ConflictError where they do not fit."""
        size = sum(np.asarray(each.pixels).nbytes for each in frames)
        with self._lock:
            old = sum(np.asarray(each.pixels).nbytes for each in self._held.get(prompt_id, ("", ()))[1])
            if self._size - old + size > self._limit:
                raise ConflictError(f"references take more than {self._limit} bytes", where=prompt_id,
                                    hint="forget prompts that are done, or start with a larger reference_bytes")
            self._size += size - old
            self._held.pop(prompt_id, None)
            if frames:
                self._held[prompt_id] = (prompt, tuple(frames))

    def find(self, prompt_id: str) -> tuple[str, tuple[Frames, ...]]:
        """The prompt's words and its references; raises NotFoundError."""
        if prompt_id not in self._held:
            raise NotFoundError(f"no references are kept for prompt {prompt_id}",
                                hint="send a reference, or POST /references first")
        return self._held[prompt_id]


def ranked(warehouse: Warehouse, rank_key: str) -> dict[str, tuple[str, list[str]]]:
    """{prompt id: (its words, media ids best first)} of a stage `references`; raises NotFoundError for none."""
    found: dict[str, tuple[str, list[str]]] = {}
    for row in warehouse.rows(_RANKED, [f"{rank_key}-"]):
        found.setdefault(row["prompt_id"], (row["text"], []))[1].append(row["media_id"])
    if not found:
        raise NotFoundError(f"no references {rank_key!r}", hint="give the rank_key of a references stage")
    return found
