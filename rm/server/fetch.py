"""Media by URL, without letting a client reach what only the server can reach (server-side request forgery).

Only http and https on their usual ports, no credentials in the address. The host is resolved once, every address it has
must be public, and the connection goes to the address that was checked, so that a second answer of the name server
changes nothing (DNS rebinding). Redirects are not followed; proxies of the environment are not used.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from urllib.parse import SplitResult, urlsplit

from warehouse.errors import BackendError, ConfigError, InvalidInputError

_PORTS = {"http": 80, "https": 443}
_CHUNK = 64 * 1024
Resolve = Callable[[str, int], Sequence[str]]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet; addresses inside others (mapped, 6to4, NAT64) count too."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host; raises BackendError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BackendError(f"{host} has no address: {error}") from error
    return [str(entry[4][0]) for entry in found]


class UrlFetcher:
    """`hosts` are the only ones allowed, none means every public one; `public` decides about addresses."""

    def __init__(self, limit_bytes: int, timeout_s: float, hosts: Sequence[str] = (), resolve: Resolve = resolve,
                 public: Callable[[str], bool] = is_public, ports: Sequence[int] = tuple(_PORTS.values())) -> None:
        self._limit, self._timeout_s = limit_bytes, timeout_s
        self._hosts = {host.casefold() for host in hosts}
        self._resolve, self._public, self._ports = resolve, public, set(ports)

    def __call__(self, url: str) -> bytes:
        """The body; raises InvalidInputError for an address that is not allowed or a body over the limit."""
        parts, port = self._checked(url)
        host = parts.hostname or ""
        addresses = self._resolve(host, port)
        private = [address for address in addresses if not self._public(address)]
        if private or not addresses:
            raise InvalidInputError(f"{host} is not a public address", where=_shown(url))
        try:
            return self._read(parts, addresses[0], port)
        except BackendError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise BackendError(f"could not be fetched: {error}", where=_shown(url)) from error

    def _checked(self, url: str) -> tuple[SplitResult, int]:
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise InvalidInputError(f"not an address: {error}", where=_shown(url)) from error
        if parts.scheme not in _PORTS or not parts.hostname or parts.username or parts.password:
            raise InvalidInputError("only plain http and https addresses are fetched", where=_shown(url))
        if port not in self._ports:
            raise InvalidInputError(f"port {port} is not fetched from", where=_shown(url))
        if self._hosts and parts.hostname.casefold() not in self._hosts:
            raise InvalidInputError(f"{parts.hostname} is not among the server's hosts", where=_shown(url))
        return parts, port

    def _read(self, parts: SplitResult, address: str, port: int) -> bytes:
        """The body of a 200; a watchdog ends the connection in time, however slowly the host talks."""
        connection = _Pinned(address, parts.hostname or "", port, parts.scheme == "https", self._timeout_s)
        watchdog = threading.Timer(self._timeout_s, connection.end)
        watchdog.start()
        try:
            return self._asked(connection, parts)
        except (OSError, http.client.HTTPException) as error:
            if connection.ended or isinstance(error, TimeoutError):
                raise BackendError(f"not whole after {self._timeout_s:g} s") from error
            raise
        finally:
            watchdog.cancel()
            connection.close()

    def _asked(self, connection: _Pinned, parts: SplitResult) -> bytes:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Host": parts.netloc, "Accept": "image/*, video/*"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise BackendError(f"the host answers {answer.status}", hint="redirects are not followed")
        body = self._body(answer)
        if connection.ended:
            raise TimeoutError
        return body

    def _body(self, answer: http.client.HTTPResponse) -> bytes:
        body = bytearray()
        while chunk := answer.read1(_CHUNK):
            body += chunk
            if len(body) > self._limit:
                raise InvalidInputError(f"more than {self._limit} bytes")
        return bytes(body)


class _Pinned(http.client.HTTPConnection):
    """A connection to one address under the name that was asked for."""

    def __init__(self, address: str, host: str, port: int, secure: bool, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._address, self._secure, self.ended = address, secure, False
        self._open: socket.socket | None = None

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._secure:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
        # `sock` is forgotten once an answer has begun that closes the connection; its body is still being read.
        self._open = self.sock

    def end(self) -> None:
        """Stop whatever is being read."""
        self.ended = True
        if self._open is not None:
            with contextlib.suppress(OSError):
                self._open.shutdown(socket.SHUT_RDWR)


def no_urls(url: str) -> bytes:
    """What a server does with URLs unless told otherwise."""
    raise ConfigError("this server fetches no URLs", hint="send base64, or start it with --urls")


def _shown(url: str) -> str:
    """The address without query and credentials, which may be secrets."""
    return url.partition("?")[0].rpartition("@")[2][:200]
