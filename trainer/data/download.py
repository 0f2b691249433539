"""One address of the web: its bytes, or why not. Bounded in size, time and number of tries.

The standard library is enough here; the trainer has no HTTP client of its own (see the borders in
docs/explain/architecture.md). Only http and https are followed, also by redirects.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

PIECE = 64 << 10
LONGEST_PAUSE_S = 60.0
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
HEADERS = {"User-Agent": "simpletuner-terminal", "Accept": "*/*", "Accept-Encoding": "identity"}


class Unfetched(Exception):
    """The address gave nothing; `str()` says why."""


class Stopped(Exception):
    """The fetch was asked to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one download."""

    timeout_s: float = 30.0  # of a whole try
    max_bytes: int = 64 << 20
    tries: int = 3
    pause_s: float = 1.0  # before the second try; doubles each time


@dataclass(frozen=True, slots=True)
class Answer:
    data: bytes
    kind: str  # what the server says it is, as "image/png"


def download(url: str, limits: Limits, stopped: Callable[[float], bool]) -> Answer:
    """The bytes behind an address; Unfetched when it gives none.

    `stopped(s)` waits up to that many seconds and tells whether to give up (Stopped).
    """
    url = url.strip()
    if not url.lower().startswith(("http://", "https://")):
        raise Unfetched("not an http or https address")
    for attempt in range(limits.tries):
        try:
            return _try(url, limits, stopped)
        except _Passing as error:
            if attempt + 1 == limits.tries:
                raise Unfetched(f"{error.reason}, {limits.tries} times") from error
            pause = error.pause_s or limits.pause_s * 2**attempt
            if stopped(min(pause, LONGEST_PAUSE_S)):
                raise Stopped from error
    raise AssertionError("at least one try is made")


class _Passing(Exception):
    """Worth another try, after a pause if the server asks for one."""

    def __init__(self, reason: str, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.pause_s = pause_s


def _try(url: str, limits: Limits, stopped: Callable[[float], bool]) -> Answer:
    until = time.monotonic() + limits.timeout_s
    try:
        request = urllib.request.Request(_quoted(url), headers=HEADERS)
        with _opener().open(request, timeout=limits.timeout_s) as answer:
            length = answer.length  # None where the server does not say
            if length is not None and length > limits.max_bytes:
                raise Unfetched(f"{length} bytes, more than {limits.max_bytes}")
            data = _body(answer, limits, until, stopped)
            if length is not None and len(data) != length:
                raise _Passing(f"the transfer broke after {len(data)} of {length} bytes")
            return Answer(data, answer.headers.get_content_type())
    except urllib.error.HTTPError as error:
        reason = f"{error.code} {error.reason}".strip()
        if error.code in AGAIN:
            raise _Passing(reason, _asked_pause(error)) from error
        raise Unfetched(reason) from error
    except urllib.error.URLError as error:
        raise _failed(error.reason) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _failed(error) from error


def _body(answer, limits: Limits, until: float, stopped: Callable[[float], bool]) -> bytes:
    data = bytearray()
    while piece := answer.read(PIECE):
        data += piece
        if len(data) > limits.max_bytes:
            raise Unfetched(f"more than {limits.max_bytes} bytes")
        if time.monotonic() > until:
            raise _Passing(f"not complete within {limits.timeout_s:g} s")
        if stopped(0):
            raise Stopped
    return bytes(data)


def _failed(error: object) -> Exception:
    if isinstance(error, TimeoutError):
        return _Passing("no answer in time")
    if isinstance(error, http.client.InvalidURL | ValueError | str):
        return Unfetched(f"not a valid address: {error}")
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return _Passing(str(why))


def _asked_pause(error: urllib.error.HTTPError) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date."""
    asked = (error.headers.get("Retry-After") or "").strip()
    if asked.isdecimal():
        return float(asked)
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _quoted(url: str) -> str:
    """Addresses in tables often hold blanks and letters that a request line may not."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.encode("idna").decode() if not parts.netloc.isascii() else parts.netloc
    safe = "/%:=&?~#+!$,;'@()*[]"
    path = urllib.parse.quote(parts.path, safe=safe)
    query = urllib.parse.quote(parts.query, safe=safe)
    return urllib.parse.urlunsplit((parts.scheme, host, path, query, ""))


def _opener() -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener
