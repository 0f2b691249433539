"""HTTP over whatever byte stream a connector opens: the joint between transports and httpx.

One path for every transport: httpcore pools connections, a connector opens them. The pool's
limit is the connector's, so that an SSH host never gets more than three ssh processes. Importing
this module imports httpx; the client does it at its first request.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import httpcore
import httpx

IDLE_S = 60.0  # an idle connection, and with it an idle ssh process, is closed after this


class Connector(Protocol):
    """A place where connections come from."""

    @property
    def address(self) -> str: ...
    @property
    def connect_timeout_s(self) -> float: ...
    @property
    def max_connections(self) -> int: ...
    def connect(self, timeout_s: float | None = None) -> socket.socket: ...


class _Stream(httpcore.NetworkStream):
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._sock.settimeout(timeout)
        try:
            return self._sock.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(error) from error
        except OSError as error:
            raise httpcore.ReadError(error) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._sock.settimeout(timeout)
        try:
            self._sock.sendall(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(error) from error
        except OSError as error:
            raise httpcore.WriteError(error) from error

    def close(self) -> None:
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        if info == "socket":
            return self._sock
        if info == "is_readable":
            return _is_readable(self._sock)
        return None


def _is_readable(sock: socket.socket) -> bool:
    """Whether an idle connection has something to say, which can only be its end."""
    if sock.fileno() < 0:
        return True
    import select

    return bool(select.select([sock], [], [], 0)[0])


class _Backend(httpcore.NetworkBackend):
    """Gives httpcore the connector's sockets, whatever host the URL names."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._connector.connect(timeout))


class _Body(httpx.SyncByteStream):
    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        with _translated():
            yield from self._parts

    def close(self) -> None:
        if close := getattr(self._parts, "close", None):
            close()


@contextmanager
def _translated() -> Iterator[None]:
    """httpcore's errors as their httpx namesakes."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        kind = getattr(httpx, type(error).__name__, httpx.TransportError)
        raise kind(str(error)) from error


class Transport(httpx.BaseTransport):
    """httpx's transport interface over one connector."""

    def __init__(self, connector: Connector) -> None:
        self._pool = httpcore.ConnectionPool(
            network_backend=_Backend(connector),
            max_connections=connector.max_connections,
            max_keepalive_connections=connector.max_connections,
            keepalive_expiry=IDLE_S,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        url = request.url
        with _translated():
            response = self._pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=url.raw_scheme,
                        host=url.raw_host,
                        port=url.port,
                        target=url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        assert isinstance(response.stream, Iterable)
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response.stream),
            extensions=response.extensions,
        )

    def close(self) -> None:
        self._pool.close()


def open_http(connector: Connector, *, request_timeout_s: float) -> httpx.Client:
    timeout = httpx.Timeout(
        request_timeout_s, connect=connector.connect_timeout_s, pool=request_timeout_s
    )
    return httpx.Client(
        transport=Transport(connector), base_url="http://daemon", timeout=timeout, trust_env=False
    )
