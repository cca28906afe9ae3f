"""What the operator of a server decides; every limit has a number."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MIB = 1024 * 1024


class ServerSettings(BaseModel):
    """Limits of `rewarddance rm serve`.

    - `task`, `dimension`: what is asked of clients that send neither (UniRL, Flow-Factory).
    - `rank_key`: references that a stage `references` ranked, kept from the start.
    - `batch_items`, `wait_ms`: a batch is as large, or its first question has waited as long.
    - `queue_items`, `requests`: at most so many questions wait, and requests are open; further ones are told 429.
    - `body_bytes`, `media_bytes`, `pixels`: the largest request, media file and picture.
    - `frames`, `clip_pixels`: most frames of a clip, and most pixels of all of them.
    - `timeout_s`: an item that has no score by then is an error.
    - `urls`: fetch candidates by URL; `url_hosts` names the only hosts, empty means any public one.
    - `reference_bytes`: memory for kept references; they are refused beyond it, never forgotten in silence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    task: str = "t2i"
    dimension: str = "overall"
    rank_key: str = ""
    batch_items: int = Field(default=64, ge=1)
    wait_ms: float = Field(default=4.0, ge=0)
    queue_items: int = Field(default=2048, ge=1)
    requests: int = Field(default=256, ge=1)
    items: int = Field(default=512, ge=1)
    body_bytes: int = Field(default=64 * MIB, ge=1024)
    media_bytes: int = Field(default=32 * MIB, ge=1024)
    pixels: int = Field(default=16_000_000, ge=1)
    frames: int = Field(default=512, ge=1)
    clip_pixels: int = Field(default=200_000_000, ge=1)
    timeout_s: float = Field(default=60.0, gt=0)
    urls: bool = False
    url_hosts: tuple[str, ...] = ()
    url_timeout_s: float = Field(default=10.0, gt=0)
    reference_bytes: int = Field(default=1024 * MIB, ge=0)
