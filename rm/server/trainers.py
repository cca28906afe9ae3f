"""Routes that trainers speak already: UniRL's reward service and Flow-Factory's reward server.

UniRL asks for rewards by name: ours are the dimensions, with the one metric p_yes. Flow-Factory asks for one number an
image: that of the server's own dimension. Both send prompts in words, whose references the server keeps; the image
of a UniRL turn before the last one is what an edit starts from, as in UniRL's own, and for other tasks the reference.
Flow-Factory's protocol has no place for a single error:
one failure fails its request, and its client raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, HTTPException

from rm.server.schema import ComputeRequest, HistoryTurn, RewardRequest, UniRLRequest

if TYPE_CHECKING:
    from rm.server.app import RewardServer

METRIC = "p_yes"
_CONDITIONED = ("edit", "i2v")
Document = dict[str, Any]


def _media(turn: HistoryTurn) -> Document:
    """Our media of a turn; a path on the server is nothing a client may name, and an unknown field of ours."""
    if turn.video_path is not None:
        return {"video_path": turn.video_path}
    return {"base64": turn.image_b64 if turn.image_b64 is not None else turn.video_b64}


def _item(request: RewardRequest, reward: str, default_task: str) -> Document:
    last = request.history[-1]
    given = request.metadata or {}
    task = str(given.get("task") or ("t2v" if last.video_b64 is not None else ""))
    item = {"prompt": last.text, "dimension": reward, "candidate": _media(last), "task": task}
    if given.get("prompt_id"):
        item["prompt_id"] = str(given["prompt_id"])
    if len(request.history) > 1:
        item["condition" if (task or default_task) in _CONDITIONED else "reference"] = _media(request.history[-2])
    return item


async def score_unirl(server: RewardServer, body: UniRLRequest) -> Document:
    """results[i][reward][metric] and errors[i][reward]; an unknown reward fails the request, as there."""
    known = server.model.card.instructions
    offered = {dimension for dimensions in known.values() for dimension in dimensions}
    unknown = {reward for request in body.requests for reward in request.required_rewards} - offered
    if unknown:
        raise HTTPException(400, f"unknown reward: {', '.join(sorted(unknown))}. available: {sorted(offered)}")
    places = [(index, reward) for index, request in enumerate(body.requests) for reward in request.required_rewards]
    found = await server.score([_item(body.requests[index], reward, server.settings.task) for index, reward in places])
    results: list[Document] = [{} for _ in body.requests]
    errors: list[Document] = [{} for _ in body.requests]
    for (index, reward), document in zip(places, found, strict=True):
        if "error" in document:
            errors[index][reward] = document["error"]["message"]
        else:
            results[index][reward] = {METRIC: document["score"]}
    return {"results": results, "errors": errors}


def trainer_routes(app: FastAPI, server: RewardServer) -> None:
    """GET /rewards (UniRL) and POST /compute (Flow-Factory)."""

    @app.get("/rewards")
    async def rewards() -> Document:
        return {"rewards": server.dimensions()}

    @app.post("/compute")
    async def compute(body: ComputeRequest) -> Document:
        if body.video:
            raise HTTPException(422, "frames without times cannot be judged: send clips to /score")
        images = body.image or []
        if len(images) != len(body.prompt):
            raise HTTPException(422, f"{len(body.prompt)} prompts, {len(images)} images")
        found = await server.score([{"prompt": prompt, "candidate": {"base64": image}}
                                    for prompt, image in zip(body.prompt, images, strict=True)])
        failed = [f"{index}: {each['error']['message']}" for index, each in enumerate(found) if "error" in each]
        if failed:
            raise HTTPException(422, "; ".join(failed))
        return {"rewards": [each["score"] for each in found]}
