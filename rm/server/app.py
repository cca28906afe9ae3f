"""The routes: POST /score and /references, GET /models, /health and /metrics, and those that trainers speak.

An item is answered by a score or by an error. A request fails as a whole only where it cannot be read (422), is too
large (413), has no token (401), or finds the server busy (429 with Retry-After).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response

from rm.context import Frames
from rm.reward_model import RewardModel, frames_of
from rm.server.batcher import Answer, Batcher, BusyError, Question
from rm.server.doorman import Doorman
from rm.server.intake import Intake
from rm.server.metrics import Metrics
from rm.server.references import KeptReferences, prompt_key
from rm.server.schema import Item, KeepRequest, KeptItem, ScoreRequest, UniRLRequest, read_item
from rm.server.settings import ServerSettings
from warehouse.errors import BackendError, InvalidInputError, RewardDanceError
from warehouse.media.store import MediaStore

_READERS = 4
Document = dict[str, Any]


class RewardServer:
    """A loaded model and what it needs to answer; `app` is the ASGI application."""

    def __init__(self, model: RewardModel, settings: ServerSettings, store: MediaStore, token: str = "") -> None:
        self.model, self.settings, self.metrics = model, settings, Metrics()
        self.kept = KeptReferences(settings.reference_bytes)
        self.intake = Intake(settings, store, model.max_frames)
        self.batcher = Batcher(model, settings.batch_items, settings.wait_ms, settings.queue_items, self.metrics)
        self._readers = ThreadPoolExecutor(_READERS, "intake")
        self.app = self._routes()
        self.doorman = Doorman(self.app, token, settings.body_bytes, settings.requests, self.metrics)

    def keep(self, found: dict[str, tuple[str, list[str]]], store: MediaStore) -> None:
        """Keep references that lie in the warehouse: {prompt id: (words, media ids)}."""
        for prompt_id, (prompt, media_ids) in found.items():
            self.kept.keep(prompt_id, prompt, [frames_of(store.get(media_id), self.model.max_frames, media_id)
                                               for media_id in media_ids])
        self.metrics.kept.set(len(self.kept))

    async def score(self, raws: Sequence[Any]) -> list[Document]:
        """One document an item: score and by_reference, or error. Raises BusyError, InvalidInputError for too many."""
        if len(raws) > self.settings.items:
            raise InvalidInputError(f"{len(raws)} items, at most {self.settings.items} a request")
        deadline = time.monotonic() + self.settings.timeout_s
        with self.batcher.room(len(raws)):
            read = await self._in_threads(self._questions, raws, deadline)
            asked = [question for each in read if isinstance(each, list) for question in each]
            answers = iter(await self.batcher.ask(asked, deadline - time.monotonic()))
            documents = [_document([next(answers) for _ in each] if isinstance(each, list) else [each])
                         for each in read]
        for document in documents:
            self.metrics.items.labels(document["error"]["type"] if "error" in document else "scored").inc()
        return documents

    async def keep_items(self, raws: Sequence[Any]) -> list[Document]:
        """One document an item of POST /references: prompt_id and how many are kept, or error."""
        deadline = time.monotonic() + self.settings.timeout_s
        with self.batcher.room(len(raws)):
            found = await self._in_threads(self._keep_one, raws, deadline)
        self.metrics.kept.set(len(self.kept))
        return [error_document(each) if isinstance(each, RewardDanceError) else each for each in found]

    async def _in_threads(self, work: Callable[[Any], Any], raws: Sequence[Any], deadline: float) -> list[Any]:
        """`work` on each, side by side; what raises, or is late, is its error."""
        loop = asyncio.get_running_loop()
        jobs = [loop.run_in_executor(self._readers, _guarded, work, raw) for raw in raws]
        if jobs:
            await asyncio.wait(jobs, timeout=max(deadline - time.monotonic(), 0))
        late = BackendError(f"not read after {self.settings.timeout_s:.3g} s")
        found = [job.result() if job.done() else late for job in jobs]
        for job in jobs:
            job.cancel()
        return found

    def _questions(self, raw: Any) -> list[Question]:
        """The questions of one item, one a reference; the model's words are checked before any media is read."""
        item = read_item(Item, raw)
        task, dimension = item.task or self.settings.task, item.dimension or self.settings.dimension
        self.model.card.instruction(task, dimension)
        words, references = self._references(item, task)
        prompt = item.prompt or words
        if not prompt:
            raise InvalidInputError("an item with a reference of its own needs its prompt")
        candidate = self.intake.frames(item.candidate)
        condition = None if item.condition is None else self.intake.frames(item.condition)
        return [Question(prompt, reference, candidate, task, dimension, condition) for reference in references]

    def _references(self, item: Item, task: str) -> tuple[str, tuple[Frames, ...]]:
        """The words that go with them, "" for a reference that the item brings, and the references."""
        if item.reference is not None:
            return "", (self.intake.frames(item.reference),)
        return self.kept.find(prompt_key(item.prompt, item.prompt_id, task))

    def _keep_one(self, raw: Any) -> Document:
        item = read_item(KeptItem, raw)
        key = prompt_key(item.prompt, item.prompt_id, item.task or self.settings.task)
        if item.references and not item.prompt:
            raise InvalidInputError("references are kept with their prompt")
        self.kept.keep(key, item.prompt, [self.intake.frames(media) for media in item.references])
        return {"prompt_id": key, "references": len(item.references)}

    def models(self) -> list[Document]:
        """What is served."""
        card = self.model.card
        return [{"model_id": card.model_id, "name": card.name, "form": card.form, "max_frames": card.max_frames,
                 "asked": {task: sorted(dimensions) for task, dimensions in card.instructions.items()},
                 "dataset": card.dataset, "version": card.version, "kept_prompts": len(self.kept)}]

    def dimensions(self) -> list[str]:
        """What can be asked about the task of clients that name none."""
        return sorted(self.model.card.instructions.get(self.settings.task, {}))

    def _routes(self) -> FastAPI:
        from rm.server.trainers import score_unirl, trainer_routes

        @asynccontextmanager
        async def working(app: FastAPI) -> AsyncIterator[None]:
            await self.batcher.start()
            yield
            await self.batcher.stop()
            self._readers.shutdown(cancel_futures=True)

        app = FastAPI(title="RewardDance reward model", lifespan=working)

        @app.exception_handler(RewardDanceError)
        async def failed(request: Any, error: RewardDanceError) -> JSONResponse:
            if isinstance(error, BusyError):
                return JSONResponse(error_document(error), 429, {"Retry-After": str(error.retry_after_s)})
            return JSONResponse(error_document(error), 422)

        @app.post("/score")
        async def score(body: ScoreRequest | UniRLRequest) -> Document:
            if isinstance(body, UniRLRequest):
                return await score_unirl(self, body)
            return {"model_id": self.model.model_id, "results": await self.score(body.items)}

        @app.post("/references")
        async def references(body: KeepRequest) -> Document:
            return {"results": await self.keep_items(body.items)}

        @app.get("/models")
        async def models() -> Document:
            return {"models": self.models()}

        @app.get("/health")
        async def health() -> Document:
            ready = {dimension: ["ready"] for dimension in self.dimensions()}
            return {"status": "ok", "model_id": self.model.model_id, "rewards": ready}

        @app.get("/metrics")
        async def metrics() -> Response:
            return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

        trainer_routes(app, self)
        return app


def _guarded(work: Callable[[Any], Any], raw: Any) -> Any:
    try:
        return work(raw)
    except RewardDanceError as error:
        return error
    except Exception as error:
        return BackendError(f"the item could not be read: {type(error).__name__}: {error}")


def _document(answers: Sequence[Answer]) -> Document:
    """The mean over references, or the first error."""
    scores: list[float] = []
    for answer in answers:
        if isinstance(answer, RewardDanceError):
            return error_document(answer)
        scores.append(answer)
    return {"score": float(np.mean(scores)), "by_reference": scores}


def error_document(error: RewardDanceError) -> Document:
    """{"error": {type, message, where, hint}}, as everywhere."""
    return {"error": {"type": type(error).__name__, "message": error.message, "where": error.where, "hint": error.hint}}
