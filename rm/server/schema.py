"""What goes over the wire: our own schema, UniRL's reward service's and Flow-Factory's reward server's.

UniRL: unirl-reward-service/reward_service/schemas.py of Tencent-Hunyuan/UniRL; Flow-Factory: reward_server/
example_server.py of X-GenGroup/Flow-Factory. Items of ours are read one by one, so that a bad one spoils no other.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from warehouse.errors import InvalidInputError


class Media(BaseModel):
    """One of: a file's bytes (`base64`), a `url`, a `media_id` of the warehouse, or `frames` with their `times_s`."""

    model_config = ConfigDict(extra="forbid")
    base64: str | None = None
    url: str | None = None
    media_id: str | None = None
    frames: list[str] | None = Field(default=None, min_length=1)
    times_s: list[float] | None = None

    @model_validator(mode="after")
    def _one(self) -> Media:
        given = [name for name in ("base64", "url", "media_id", "frames") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"media is one of base64, url, media_id and frames, got {given or 'none'}")
        if len(self.frames or ()) != len(self.times_s or ()):
            raise ValueError("frames need times_s, one time in seconds for each")
        return self


class Item(BaseModel):
    """A question. Without `reference`, those kept under `prompt_id`, or under the prompt's own words, are taken.

    `condition` is the picture that an edit or a clip starts from.
    """

    model_config = ConfigDict(extra="forbid")
    prompt: str = ""
    prompt_id: str = ""
    task: str = ""
    dimension: str = ""
    candidate: Media
    reference: Media | None = None
    condition: Media | None = None


class ScoreRequest(BaseModel):
    """POST /score."""

    model_config = ConfigDict(extra="forbid")
    items: list[Any]


class KeptItem(BaseModel):
    """References of one prompt, best first; they replace what was kept for it. No references forget it."""

    model_config = ConfigDict(extra="forbid")
    prompt: str = ""
    prompt_id: str = ""
    task: str = ""
    references: list[Media] = Field(default_factory=list, max_length=16)


class KeepRequest(BaseModel):
    """POST /references."""

    model_config = ConfigDict(extra="forbid")
    items: list[Any]


class HistoryTurn(BaseModel):
    """UniRL: a text with an image or a clip; `video_path` names a file of the server, which ours never opens."""

    text: str
    image_b64: str | None = None
    video_b64: str | None = None
    video_path: str | None = None


class RewardRequest(BaseModel):
    """UniRL: the last turn is the candidate; the turn before it holds what an edit starts from, else a reference."""

    history: list[HistoryTurn] = Field(min_length=1)
    required_rewards: list[str]
    metadata: dict[str, Any] | None = None


class UniRLRequest(BaseModel):
    """UniRL's POST /score."""

    requests: list[RewardRequest]


class ComputeRequest(BaseModel):
    """Flow-Factory's POST /compute: one prompt and one image each."""

    prompt: list[str]
    image: list[str] | None = None
    video: list[list[str]] | None = None
    condition_images: list[list[str]] | None = None
    condition_videos: list[list[list[str]]] | None = None


T = TypeVar("T", bound=BaseModel)


def read_item(kind: type[T], raw: Any) -> T:
    """One item; raises InvalidInputError that names the field."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInputError(f"{place}: {first['msg']}" if place else first["msg"]) from error
