from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rm.server.fetch import UrlFetcher, is_public, resolve
from tests.rm.server.conftest import Start, item
from warehouse.errors import BackendError, InvalidInputError

PRIVATE = ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
           "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
           "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "2001:db8::1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_known_in_every_dress(address: str) -> None:
    assert not is_public(address)


def test_public_addresses_are_public() -> None:
    found = ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822")
    assert all(is_public(each) for each in found)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/a", "http://user:pass@example.org/", "http://",
                                 "gopher://example.org", "http://example.org:8080/", "http://example.org:99999/", "a"])
def test_other_addresses_are_refused_unresolved(url: str) -> None:
    def never(host: str, port: int) -> Sequence[str]:
        raise AssertionError("resolved")

    with pytest.raises(InvalidInputError) as caught:
        UrlFetcher(1000, 1.0, resolve=never)(url)
    assert "pass" not in str(caught.value) or url.startswith("file")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_loopback_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises((InvalidInputError, BackendError)) as caught:
        UrlFetcher(1000, 1.0)(f"http://{host}/")
    assert "not a public address" in str(caught.value) or "has no address" in str(caught.value)


def test_one_private_address_among_public_ones_is_enough() -> None:
    with pytest.raises(InvalidInputError, match="not a public address"):
        UrlFetcher(1000, 1.0, resolve=lambda host, port: ["93.184.216.34", "10.0.0.1"])("http://example.org/")


def test_only_named_hosts() -> None:
    with pytest.raises(InvalidInputError, match="not among the server's hosts"):
        UrlFetcher(1000, 1.0, hosts=("images.example.org",))("http://example.org/a.png")


@contextmanager
def web(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def fetcher(port: int, limit: int = 1000, timeout_s: float = 5.0) -> UrlFetcher:
    """Every name is this machine, and this machine counts as public; only the named port."""
    return UrlFetcher(limit, timeout_s, resolve=lambda host, port: ["127.0.0.1"], public=lambda address: True,
                      ports=(port,))


def test_the_address_that_was_checked_is_the_one_that_is_asked() -> None:
    seen: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Host"])
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"x" * 900)

    with web(answer) as port:
        assert fetcher(port)(f"http://example.invalid:{port}/a.png?b") == b"x" * 900
        with pytest.raises(InvalidInputError, match="more than 500 bytes"):
            fetcher(port, 500)(f"http://example.invalid:{port}/a.png")
    assert seen[0] == f"example.invalid:{port}"
    with pytest.raises(BackendError, match="has no address"):
        resolve("example.invalid", 80)


def test_redirects_are_not_followed() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "http://169.254.169.254/latest/meta-data")
        handler.end_headers()

    with web(answer) as port, pytest.raises(BackendError, match="the host answers 302"):
        fetcher(port)(f"http://example.invalid:{port}/")


def test_a_host_that_talks_slowly_is_left() -> None:
    """A byte now and then keeps every read alive; the whole has a deadline all the same."""
    left = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not left.wait(0.02):
            try:
                handler.wfile.write(b"x")
            except OSError:
                return

    with web(answer) as port:
        with pytest.raises(BackendError, match="not whole after"):
            fetcher(port, timeout_s=0.3)(f"http://example.invalid:{port}/")
        left.set()


def test_a_server_with_urls_still_refuses_private_ones(start: Start) -> None:
    from starlette.testclient import TestClient

    with TestClient(start(urls=True).doorman) as client:
        asked = item(1, 2, candidate={"url": "http://169.254.169.254/latest/meta-data?key=1"})
        error = client.post("/score", json={"items": [asked]}).json()["results"][0]["error"]
    assert error["type"] == "InvalidInputError" and "not a public address" in error["message"]
    assert "key" not in str(error)
