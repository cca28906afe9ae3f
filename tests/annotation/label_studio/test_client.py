"""What the client makes of servers in every kind of trouble: real ones, each with its own bad habit."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from annotation.label_studio import client as module
from annotation.label_studio import state
from annotation.label_studio.client import StudioClient
from annotation.label_studio.raters import email_of, read_names
from warehouse.errors import BackendError, ConfigError, InvalidInputError, NotFoundError, RewardDanceError

TOKEN = "a" * 40
Answer = tuple[int, bytes]


@contextmanager
def _server(answer: Callable[[str, str, int], Answer]) -> Iterator[tuple[str, list[str]]]:
    """A server that answers (method and path, Authorization, number of the call); its address and what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(f"{self.command} {self.path}")
            status, body = answer(asked[-1], self.headers.get("Authorization", ""), len(asked))
            self.send_response(status)
            self.send_header("Set-Cookie", "sessionid=topsecret")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = _do

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.001)


BAD = [
    (500, b"<html><h1>Oops</h1></html>", BackendError, "500: Oops", 4),
    (200, b"<html>Please log in</html>", BackendError, "not JSON: Please log in", 4),
    (302, b"", BackendError, "302", 4),
    (401, b'{"detail": "Invalid token."}', ConfigError, "refuses the token", 1),
    (404, b'{"detail": "Not found."}', NotFoundError, "404", 1),
    (404, b"<html>No such file</html>", ConfigError, "no Label Studio answers there.* No such file", 1),
    (400, b'{"detail": "bad label"}', ConfigError, "bad label", 1),
]


@pytest.mark.parametrize(("status", "body", "kind", "text", "calls"), BAD, ids=[str(case[0]) for case in BAD])
def test_trouble_is_named_and_tried_again_where_that_helps(
    status: int, body: bytes, kind: type[RewardDanceError], text: str, calls: int
) -> None:
    with _server(lambda *_: (status, body)) as (url, asked):
        with pytest.raises(kind, match=text) as caught:
            StudioClient(url, TOKEN).get("/api/tasks/")
        assert len(asked) == calls and url in str(caught.value)
        assert "topsecret" not in str(caught.value) and TOKEN not in str(caught.value)
        asked.clear()
        with pytest.raises(kind):
            StudioClient(url, TOKEN).send("POST", "/api/projects/1/import", [])
        assert len(asked) == 1


def test_a_server_that_recovers_is_waited_for() -> None:
    with _server(lambda what, token, call: (503, b"busy") if call < 3 else (200, b"[1]")) as (url, asked):
        assert StudioClient(url, TOKEN).get("/api/tasks/") == [1] and len(asked) == 3


def test_nobody_there_and_too_slow() -> None:
    with pytest.raises(BackendError, match="does not answer"):
        StudioClient("http://127.0.0.1:9", TOKEN).get("/api/version")
    held = threading.Event()
    with _server(lambda *_: ((held.wait(5) and 200) or 200, b"[]")) as (url, _):
        with pytest.raises(BackendError, match="in time"):
            StudioClient(url, TOKEN, timeout_s=0.05).send("GET", "/api/version")
        held.set()


def test_a_personal_access_token_is_refreshed_when_it_runs_out() -> None:
    def answer(what: str, authorization: str, call: int) -> Answer:
        if what.startswith("POST /api/token/refresh"):
            return 200, json.dumps({"access": f"access{call}"}).encode()
        # The first access token has run out by the second call under it.
        return (200, b"[]") if authorization in ("Bearer access1", "Bearer access4") and call != 3 else (401, b"{}")

    with _server(answer) as (url, asked):
        client = StudioClient(url, "eyJ.refresh.token")
        assert client.get("/a") == [] and client.get("/b") == []
        assert asked == ["POST /api/token/refresh", "GET /a", "GET /b", "POST /api/token/refresh", "GET /b"]


def test_a_server_is_named_by_both_variables_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no Label Studio"):
        state.connect(tmp_path)
    monkeypatch.setenv(state.URL, "http://studio.example/")
    with pytest.raises(ConfigError, match="go together"):
        state.connect(tmp_path)
    monkeypatch.setenv(state.KEY, TOKEN)
    assert state.connect(tmp_path).url == "http://studio.example"


def test_lists_of_raters(tmp_path: Path) -> None:
    path = tmp_path / "people.txt"
    path.write_text("Ann # the first\n\n# nobody\nbob@example.org\nann\n")
    assert read_names(path) == ["ann", "bob@example.org"]
    assert [email_of(name) for name in read_names(path)] == ["ann@rewarddance.local", "bob@example.org"]
    path.write_text("two words\n")
    with pytest.raises(InvalidInputError, match="two words"):
        read_names(path)
