"""What every campaign says of itself: whom it asks, about what, in which words, through which back end."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from warehouse.stage import StageConfig


class Asking(StageConfig):
    """Pairs or items of a task, by generator and source ("" = any), asked in `dimensions` under a guideline's version.

    `backend` is a plug-in `module:object`; `criteria` replaces the standing text of a dimension.
    """

    name: str
    task: str = "t2i"
    backend: str
    backend_options: dict[str, Any] = Field(default_factory=dict)
    dimensions: tuple[str, ...] = ("overall",)
    criteria: dict[str, str] = Field(default_factory=dict)
    generator_id: str = ""
    source: str = ""
    seed: int = 0
    guideline_version: int = 1

    def asked(self) -> dict[str, Any]:
        """The fields that decide what is asked: all but the reject limit."""
        return {name: value for name, value in self.identity().items() if name != "reject_limit"}
