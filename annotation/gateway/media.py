"""Media by signed address, as a router to be mounted on any of our servers.

    Mount("/media", media_router(store, signer, cache))          # starlette
    app.mount("/media", media_router(store, signer, cache))      # FastAPI
    address = "/media/" + signer.sign(media_id, ttl_s=3600)      # what a page shows

`media_router(store: MediaStore, signer: MediaSigner, cache: Path, allow_origin: str = "", shelf: Shelf | None = None)`,
with `signer = MediaSigner(own_secret(folder / "media.key"))` from signing.py. `GET /TOKEN` answers the cleaned medium
(clean.py) with Range; 403 where the token is forged, foreign or expired; 404 for anything that is no token and for
media that are not here. `allow_origin` is the one other origin whose pages may read the bytes (CORS). With a `shelf`
the answer is a redirect to a presigned address instead of the bytes.
"""

from __future__ import annotations

from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, Router

from annotation.gateway.clean import clean_copy
from annotation.gateway.shelf import Shelf
from annotation.gateway.signing import BadTokenError, MediaSigner, looks_like_token
from warehouse.errors import MediaError, NotFoundError
from warehouse.media.store import MediaStore

_KINDS = {".png": "image/png", ".mp4": "video/mp4", ".webm": "video/webm"}


def media_router(store: MediaStore, signer: MediaSigner, cache: Path, allow_origin: str = "",
                 shelf: Shelf | None = None) -> Router:
    """The router of the module's docstring; `cache` is the folder of cleaned copies."""

    async def serve(request: Request) -> Response:
        token = request.path_params["token"]
        if not looks_like_token(token):
            return PlainTextResponse("no such medium", 404)
        try:
            media_id = signer.open(token)
            path = await run_in_threadpool(clean_copy, store, media_id, cache)
        except BadTokenError as error:
            return PlainTextResponse(str(error), 403)
        except (NotFoundError, MediaError):
            return PlainTextResponse("no such medium", 404)
        if shelf is not None:
            address = await run_in_threadpool(shelf.address, media_id, path)
            return RedirectResponse(address, 307, {"Cache-Control": "private, max-age=600"})
        return FileResponse(path, media_type=_KINDS[path.suffix], headers=_headers(request, allow_origin))

    return Router([Route("/{token}", serve, methods=["GET"])])


def _headers(request: Request, allow_origin: str) -> dict[str, str]:
    headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff", "Vary": "Origin"}
    if allow_origin and request.headers.get("origin") == allow_origin:
        headers["Access-Control-Allow-Origin"] = allow_origin
    return headers
